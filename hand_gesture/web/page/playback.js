// The reference hands, one for each gesture, and what else there is to know about the model that is served.

import { NO_REFERENCE, Problem } from "./problem.js";

const FRAMES_A_SECOND = 15;
const SECONDS_EACH = 1.6;
const SECONDS_BETWEEN = 0.4;

/**
 * @typedef {import("./stream.js").Point} Point
 * @typedef {{name: string, version: string, kind: string, features: string}} Model
 *
 * @typedef {object} Reference
 * @property {[number, number]} image_size of the pictures that the hands come from
 * @property {Record<string, Point[]>} hands a typical one for each gesture whose shape is known
 * @property {string[]} gestures all that the model can answer
 * @property {Record<string, string>} commands
 * @property {Model | null} model
 */

/**
 * @param {string} address of /reference_hands.json
 * @returns {Promise<Reference>}
 * @throws {Problem}
 */
export async function loadReference(address) {
  try {
    const response = await fetch(address);
    const { image_size, hands, gestures, commands, model } = await response.json();
    return {
      image_size,
      hands: byGesture(hands, (points) => points.map(asPoint)),
      gestures: gestures ?? Object.keys(hands),
      commands: byGesture(commands ?? {}, (command) => command),
      model: model ?? null,
    };
  } catch (error) {
    console.debug(error);
    throw new Problem(NO_REFERENCE);
  }
}

/**
 * Any name may be a gesture's, "constructor" too, so the object inherits nothing.
 *
 * @template T, U
 * @param {Record<string, T>} values
 * @param {(value: T) => U} convert
 * @returns {Record<string, U>}
 */
function byGesture(values, convert) {
  const made = Object.create(null);
  for (const [gesture, value] of Object.entries(values)) made[gesture] = convert(value);
  return made;
}

/** @param {number[]} numbers */
function asPoint([x, y, z]) {
  return { x, y, z };
}

/**
 * Plays the reference hands as a camera would show them.
 *
 * @param {Reference} reference
 * @param {object} options
 * @param {string} options.first the gesture to begin with, empty for the first one
 * @param {AbortSignal} options.signal ends it
 * @param {(hands: Point[][], gesture: string) => void} options.onFrame with the hands of a frame, none between two gestures
 */
export function play({ hands }, { first, signal, onFrame }) {
  const gestures = Object.keys(hands);
  const each = Math.round(SECONDS_EACH * FRAMES_A_SECOND);
  const length = each + Math.round(SECONDS_BETWEEN * FRAMES_A_SECOND);
  let frame = length * Math.max(0, gestures.indexOf(first));
  const timer = setInterval(() => {
    const gesture = gestures[Math.floor(frame / length) % gestures.length];
    onFrame(frame % length < each ? [hands[gesture]] : [], gesture);
    frame += 1;
  }, 1000 / FRAMES_A_SECOND);
  signal.addEventListener("abort", () => clearInterval(timer), { once: true });
}
