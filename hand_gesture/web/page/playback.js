// Plays the reference hands, one for each gesture, as a camera would show them.

import { NO_REFERENCE, Problem } from "./problem.js";

const FRAMES_A_SECOND = 15;
const SECONDS_EACH = 1.6;
const SECONDS_BETWEEN = 0.4;

/**
 * @typedef {import("./stream.js").Point} Point
 * @typedef {{image_size: [number, number], hands: Record<string, Point[]>, commands: Record<string, string>}} Reference
 */

/**
 * @param {string} address
 * @returns {Promise<Reference>}
 * @throws {Problem}
 */
export async function loadReference(address) {
  /** @type {any} */
  let reference;
  try {
    reference = await (await fetch(address)).json();
  } catch {
    throw new Problem(NO_REFERENCE);
  }
  const hands = Object.entries(reference.hands).map(([gesture, points]) => [
    gesture,
    points.map((/** @type {number[]} */ [x, y, z]) => ({ x, y, z })),
  ]);
  return { ...reference, hands: Object.fromEntries(hands) };
}

/**
 * @param {Reference} reference
 * @param {string} first the gesture to begin with
 * @param {(hands: Point[][], gesture: string) => void} onFrame with the hands of a frame, none between two gestures
 * @returns {() => void} ends it
 */
export function play(reference, first, onFrame) {
  const gestures = Object.keys(reference.hands);
  const each = Math.round(SECONDS_EACH * FRAMES_A_SECOND);
  const length = each + Math.round(SECONDS_BETWEEN * FRAMES_A_SECOND);
  let frame = length * Math.max(0, gestures.indexOf(first));
  const timer = setInterval(() => {
    const gesture = gestures[Math.floor(frame / length) % gestures.length];
    onFrame(frame % length < each ? [reference.hands[gesture]] : [], gesture);
    frame += 1;
  }, 1000 / FRAMES_A_SECOND);
  return () => clearInterval(timer);
}
