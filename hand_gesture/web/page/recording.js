// Records a hand for three seconds and samples examples of a gesture from it.

import { sampleEvenly } from "./own_gestures.js";
import { Problem } from "./problem.js";

const COUNTDOWN_SECONDS = 3;
const SECOND_MS = 1000;
const RECORDING_MS = 3000;
const MIN_PICTURES = 12; // slow machines record for longer than RECORDING_MS
const EXAMPLES = 15;
const NO_HAND_SEEN = "No hand was seen: hold it up before the camera, palm forward, and record again.";
const TWO_HANDS_SEEN = "Several hands were seen: show only the one that makes the gesture, and record again.";

/**
 * @typedef {import("./stream.js").Point} Point
 * @typedef {import("./own_gestures.js").Example} Example
 * @typedef {import("./own_gestures.js").Size} Size
 * @typedef {(hands: Point[][], size: Size) => void} OnPicture
 */

/**
 * @param {object} options
 * @param {(onPicture: OnPicture) => void} options.watch subscribes to the hands of each picture
 * @param {AbortSignal} options.signal aborts the recording
 * @param {(left: number) => void} options.onCount seconds until the recording starts
 * @param {(share: number) => void} options.onProgress share recorded so far, 0 to 1
 * @returns {Promise<Example[]>} sampled evenly
 * @throws {Problem} if no picture shows exactly one hand
 */
export async function record({ watch, signal, onCount, onProgress }) {
  for (let left = COUNTDOWN_SECONDS; left > 0; left -= 1) {
    onCount(left);
    await pause(SECOND_MS, signal);
  }
  const pictures = await collect(watch, signal, onProgress);
  const examples = pictures
    .filter(({ hands }) => hands.length === 1)
    .map(({ hands, size }) => ({ hand: hands[0], size }));
  if (!examples.length) throw new Problem(pictures.some(({ hands }) => hands.length) ? TWO_HANDS_SEEN : NO_HAND_SEEN);
  return sampleEvenly(examples, EXAMPLES);
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
    let startedAt = 0;
    watch((hands, size) => {
      const now = performance.now();
      startedAt ||= now;
      pictures.push({ hands, size });
      const share = Math.min((now - startedAt) / RECORDING_MS, pictures.length / MIN_PICTURES, 1);
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
    const abort = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    if (signal.aborted) abort();
    signal.addEventListener("abort", abort, { once: true });
  });
}
