// Three seconds of a hand before the camera, as examples of a gesture.

import { evenly } from "./own_gestures.js";
import { Problem } from "./problem.js";

const COUNT_FROM = 3;
const COUNT_MS = 1000;
const RECORDING_MS = 3000;
const LEAST_PICTURES = 12; // a slow machine gets more time for them
const EXAMPLES = 15;
const NO_HAND_SEEN = "No hand was seen: hold it up before the camera, the palm to it, and record again.";
const TWO_HANDS_SEEN = "Several hands were seen: show only the one that makes the gesture, and record again.";

/**
 * @typedef {import("./stream.js").Point} Point
 * @typedef {import("./own_gestures.js").Example} Example
 * @typedef {import("./own_gestures.js").Size} Size
 * @typedef {(hands: Point[][], size: Size) => void} OnPicture
 */

/**
 * @param {object} options
 * @param {(onPicture: OnPicture) => void} options.watch calls back with the hands of each picture, until the signal
 * @param {AbortSignal} options.signal ends it
 * @param {(left: number) => void} options.onCount with the seconds until it begins
 * @param {(share: number) => void} options.onProgress with the share that is recorded, 0 to 1
 * @returns {Promise<Example[]>} from the beginning to the end in even steps
 * @throws {Problem} the hand was not seen
 */
export async function record({ watch, signal, onCount, onProgress }) {
  for (let left = COUNT_FROM; left > 0; left -= 1) {
    onCount(left);
    await pause(COUNT_MS, signal);
  }
  const pictures = await collect(watch, signal, onProgress);
  const examples = pictures
    .filter(({ hands }) => hands.length === 1)
    .map(({ hands, size }) => ({ hand: hands[0], size }));
  if (!examples.length) throw new Problem(pictures.some(({ hands }) => hands.length) ? TWO_HANDS_SEEN : NO_HAND_SEEN);
  return evenly(examples, EXAMPLES);
}

/**
 * @param {(onPicture: OnPicture) => void} watch
 * @param {AbortSignal} signal
 * @param {(share: number) => void} onProgress
 * @returns {Promise<{hands: Point[][], size: Size}[]>}
 */
function collect(watch, signal, onProgress) {
  onProgress(0);
  return new Promise((resolve, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
    /** @type {{hands: Point[][], size: Size}[]} */
    const pictures = [];
    let begun = 0;
    watch((hands, size) => {
      const now = performance.now();
      begun ||= now;
      pictures.push({ hands, size });
      const share = Math.min((now - begun) / RECORDING_MS, pictures.length / LEAST_PICTURES, 1);
      onProgress(share);
      if (share === 1) resolve(pictures);
    });
  });
}

/**
 * @param {number} milliseconds
 * @param {AbortSignal} signal
 */
function pause(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, milliseconds);
    const end = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    if (signal.aborted) end();
    signal.addEventListener("abort", end, { once: true });
  });
}
