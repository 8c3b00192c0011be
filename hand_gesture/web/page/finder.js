// Finds hands in pictures, with MediaPipe: https://ai.google.dev/edge/mediapipe/solutions/vision/hand_landmarker

import { FINDER_FAILED, NO_FINDER, NO_WEBASSEMBLY, Problem } from "./problem.js";

const MOST_HANDS = 2;
// The smallest module with an instruction on 128 bits: (module (func (drop (v128.const i32x4 0 0 0 0))))
const SIMD_MODULE = new Uint8Array([
  0, 97, 115, 109, 1, 0, 0, 0, 1, 4, 1, 96, 0, 0, 3, 2, 1, 0, 10, 23, 1, 21, 0, 253, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
  0, 0, 0, 0, 0, 0, 26, 11,
]);

/**
 * @typedef {import("./stream.js").Point} Point
 * @typedef {import("@mediapipe/tasks-vision").HandLandmarkerResult} Result
 *
 * @typedef {object} Finder gives 21 points for each hand; one search at a time
 * @property {(video: HTMLVideoElement, time: number) => Promise<Point[][]>} inVideo
 * @property {(photo: ImageBitmap) => Promise<Point[][]>} inPhoto
 */

/**
 * @param {string} folder where MediaPipe's files are on this server; empty if they are not
 * @throws {Problem} hands cannot be found in this browser, or not with this server
 */
export function requireFinder(folder) {
  if (typeof WebAssembly !== "object" || !WebAssembly.validate(SIMD_MODULE)) throw new Problem(NO_WEBASSEMBLY);
  if (!folder) throw new Problem(NO_FINDER);
}

/**
 * @param {string} folder as above
 * @returns {Promise<Finder>}
 * @throws {Problem}
 */
export async function loadFinder(folder) {
  requireFinder(folder);
  const worker = new Worker(new URL("./finder_worker.js", import.meta.url));
  /** @type {Promise<unknown>} */
  let last = Promise.resolve();

  /**
   * @param {{base: string, mostHands: number} | {picture: ImageBitmap, time: number, isPhoto: boolean}} message
   * @param {Transferable[]} transferred
   * @returns {Promise<Result>}
   */
  function ask(message, transferred = []) {
    const answer = last.then(
      () =>
        new Promise((resolve, reject) => {
          worker.onmessage = ({ data }) => (data.error ? reject(new Error(data.error)) : resolve(data.found));
          worker.onerror = () => reject(new Error("the worker did not load"));
          worker.postMessage(message, transferred);
        }),
    );
    last = answer.catch(() => {});
    return answer;
  }

  try {
    await ask({ base: new URL(folder, document.baseURI).href, mostHands: MOST_HANDS });
  } catch (error) {
    console.warn(error);
    worker.terminate();
    throw new Problem(FINDER_FAILED);
  }
  return {
    async inVideo(video, time) {
      const picture = await createImageBitmap(video);
      return inOrder(await ask({ picture, time, isPhoto: false }, [picture]));
    },
    async inPhoto(picture) {
      return inOrder(await ask({ picture, time: 0, isPhoto: true }));
    },
  };
}

/**
 * The left hand first, as what holds is known by a hand's place in the frame and MediaPipe's order changes.
 *
 * @param {Result} result
 * @returns {Point[][]}
 */
function inOrder({ landmarks, handedness }) {
  const order = landmarks.map((_, index) => index);
  order.sort(
    (a, b) =>
      handedness[a][0].categoryName.localeCompare(handedness[b][0].categoryName) ||
      landmarks[a][0].x - landmarks[b][0].x,
  );
  return order.map((index) => landmarks[index]);
}
