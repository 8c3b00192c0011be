// The served model: its gestures, their commands and a reference hand for each.

import { Problem } from "./problem.js";

const FRAMES_PER_SECOND = 15;
const GESTURE_SECONDS = 1.6;
const PAUSE_SECONDS = 0.4;
const LOADING_MS = 20_000;
const NO_REFERENCE = "The reference hands could not be loaded: check that the service runs, and try again.";

/**
 * @typedef {import("./stream.js").Point} Point
 * @typedef {{name: string, version: string, kind: string, features: string}} Model
 *
 * @typedef {object} Reference
 * @property {[number, number]} image_size of the hands' pictures
 * @property {Record<string, Point[]>} hands a typical hand for each gesture that has one
 * @property {string[]} gestures every class of the model
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
    const response = await fetch(address, { signal: AbortSignal.timeout(LOADING_MS) });
    const { image_size, hands, gestures, commands, model } = await response.json();
    return {
      image_size,
      hands: mapGestures(hands, (points) => points.map(toPoint)),
      gestures: gestures ?? Object.keys(hands),
      commands: mapGestures(commands ?? {}, (command) => command),
      model: model ?? null,
    };
  } catch (error) {
    console.debug(error);
    throw new Problem(NO_REFERENCE);
  }
}

/**
 * Maps the values. The result has no prototype, because a gesture may be called "constructor".
 *
 * @template T, U
 * @param {Record<string, T>} values
 * @param {(value: T) => U} convert
 * @returns {Record<string, U>}
 */
function mapGestures(values, convert) {
  const mapped = Object.create(null);
  for (const [gesture, value] of Object.entries(values)) mapped[gesture] = convert(value);
  return mapped;
}

/** @param {number[]} numbers */
function toPoint([x, y, z]) {
  return { x, y, z };
}

/**
 * Plays the reference hands in a loop, frame by frame.
 *
 * @param {Reference} reference
 * @param {object} options
 * @param {string} options.first gesture to start with, empty for the first one
 * @param {AbortSignal} options.signal stops playback
 * @param {(hands: Point[][], gesture: string) => void} options.onFrame the hands of a frame; empty between two gestures
 */
export function play({ hands }, { first, signal, onFrame }) {
  const gestures = Object.keys(hands);
  const shownFrames = Math.round(GESTURE_SECONDS * FRAMES_PER_SECOND);
  const framesPerGesture = shownFrames + Math.round(PAUSE_SECONDS * FRAMES_PER_SECOND);
  let frame = framesPerGesture * Math.max(0, gestures.indexOf(first));
  const timer = setInterval(() => {
    const gesture = gestures[Math.floor(frame / framesPerGesture) % gestures.length];
    onFrame(frame % framesPerGesture < shownFrames ? [hands[gesture]] : [], gesture);
    frame += 1;
  }, 1000 / FRAMES_PER_SECOND);
  signal.addEventListener("abort", () => clearInterval(timer), { once: true });
}
