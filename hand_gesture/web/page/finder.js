// Finds hands with MediaPipe: in a worker, or on the main thread where workers have no WebGL.

import { loadLandmarker, NO_WEBGL_HERE } from "./landmarker.js";
import {
  FINDER_FAILED,
  FINDER_SILENT,
  finderProblem,
  NO_FINDER,
  NO_WEBASSEMBLY,
  NO_WEBGL,
  Problem,
  withTimeout,
} from "./problem.js";

const LOADING_MS = 180_000;
const SEARCH_MS = 30_000;
const PAUSE_MS = 20; // between detections on the main thread, so that it can handle events
// The smallest module with a SIMD instruction: (module (func (drop (v128.const i32x4 0 0 0 0))))
const SIMD_MODULE = new Uint8Array([
  0, 97, 115, 109, 1, 0, 0, 0, 1, 4, 1, 96, 0, 0, 3, 2, 1, 0, 10, 23, 1, 21, 0, 253, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
  0, 0, 0, 0, 0, 0, 26, 11,
]);

/** @type {Promise<unknown>} */
let loadedOnPage = Promise.resolve();

/**
 * @typedef {import("./stream.js").Point} Point
 * @typedef {import("./landmarker.js").Landmarker} Landmarker
 * @typedef {import("./landmarker.js").Result} Result
 *
 * @typedef {object} Finder gives 21 points for each hand, normalized to 0..1; any error is a Problem and closes it
 * @property {(video: HTMLVideoElement, time: number) => Promise<Point[][]>} inVideo
 * @property {(photo: HTMLCanvasElement) => Promise<Point[][]>} inPhoto
 * @property {(count: number) => Promise<void>} setMostHands most hands to find in a picture
 * @property {() => boolean} isClosed also after a failure
 * @property {() => void} close rejects pending calls
 */

/**
 * @param {string} folder URL of MediaPipe's files; empty if the service has none
 * @throws {Problem} if the browser or the service does not support hand tracking
 */
export function requireFinder(folder) {
  if (typeof WebAssembly !== "object" || !WebAssembly.validate(SIMD_MODULE)) {
    throw new Problem(NO_WEBASSEMBLY, "no_webassembly");
  }
  if (!folder) throw new Problem(NO_FINDER, "no_finder");
}

/**
 * @param {number} count of hands; an invalid one would make MediaPipe fail permanently
 * @throws {Problem}
 */
function requireCount(count) {
  if (!Number.isInteger(count) || count < 1) {
    throw new Problem("hands must be a whole number of at least 1.", "invalid_request");
  }
}

/**
 * @param {string} folder as above
 * @param {number} mostHands most hands to find in a picture
 * @returns {Promise<Finder>}
 * @throws {Problem}
 */
export async function loadFinder(folder, mostHands) {
  requireFinder(folder);
  requireCount(mostHands);
  const landmarker = await load(folder, mostHands);
  /** @type {Promise<unknown>} */
  let last = Promise.resolve();
  let isClosed = false;

  /**
   * @template T
   * @param {() => Promise<T>} task runs after the earlier ones
   * @returns {Promise<T>}
   */
  function inTurn(task) {
    const result = last.then(() => {
      requireOpen();
      return task();
    });
    last = result.catch(close);
    return result.catch((error) => {
      throw finderProblem(error);
    });
  }

  /**
   * @param {HTMLVideoElement | HTMLCanvasElement} source
   * @param {number} time
   * @param {boolean} isPhoto
   */
  async function find(source, time, isPhoto) {
    // The source of a video may be removed while it waits for its turn
    if ("readyState" in source && source.readyState < source.HAVE_CURRENT_DATA) return [];
    const picture = await createImageBitmap(source);
    if (isClosed) picture.close();
    requireOpen(); // a closed worker would not answer
    return inOrder(await landmarker.find(picture, time, isPhoto));
  }

  function requireOpen() {
    if (isClosed) throw new Problem(FINDER_SILENT, "finder_failed");
  }

  function close() {
    if (!isClosed) landmarker.close();
    isClosed = true;
  }

  return {
    inVideo: (video, time) => inTurn(() => find(video, time, false)),
    inPhoto: (photo) => inTurn(() => find(photo, 0, true)),
    async setMostHands(count) {
      requireCount(count);
      await inTurn(() => landmarker.setMostHands(count));
    },
    isClosed: () => isClosed,
    close,
  };
}

/**
 * @param {string} base
 * @param {number} mostHands
 * @returns {Promise<Landmarker>}
 */
async function load(base, mostHands) {
  try {
    return await loadInWorker(base, mostHands).catch((error) => {
      if (error.name !== NO_WEBGL_HERE) throw error;
      return loadOnPage(base, mostHands);
    });
  } catch (error) {
    console.debug(error);
    if (/** @type {Error} */ (error).name === NO_WEBGL_HERE) throw new Problem(NO_WEBGL, "no_webgl");
    throw new Problem(FINDER_FAILED, "finder_failed");
  }
}

/**
 * @param {string} base
 * @param {number} mostHands
 * @returns {Promise<Landmarker>}
 */
async function loadOnPage(base, mostHands) {
  // Load one at a time, because MediaPipe keeps state in globals while it loads
  const loaded = loadedOnPage.then(() => loadLandmarker(base, mostHands));
  const loading = withTimeout(loaded, LOADING_MS, FINDER_SILENT, "finder_failed");
  loadedOnPage = loading.catch(() => {});
  const landmarker = await loading;
  let isClosed = false;
  return {
    ...landmarker,
    async find(picture, time, isPhoto) {
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
      if (!isClosed) return landmarker.find(picture, time, isPhoto);
      picture.close();
      throw new Error("MediaPipe was closed"); // a closed landmarker would hang
    },
    close() {
      isClosed = true;
      landmarker.close();
    },
  };
}

/**
 * @param {string} base
 * @param {number} mostHands
 * @returns {Promise<Landmarker>}
 */
async function loadInWorker(base, mostHands) {
  const worker = startWorker(new URL("./finder_worker.js", import.meta.url));
  let end = () => {};

  /**
   * @param {{base?: string, code?: string, mostHands?: number, picture?: ImageBitmap, time?: number, isPhoto?: boolean}} message
   * @param {number} limit in milliseconds
   * @returns {Promise<any>}
   */
  function ask(message, limit) {
    const answer = new Promise((resolve, reject) => {
      worker.onmessage = ({ data: { error, result } }) =>
        error ? reject(Object.assign(new Error(error.message), { name: error.name })) : resolve(result);
      worker.onmessageerror = () => reject(new Error("the worker's answer cannot be read"));
      end = () => reject(new Error("the worker was terminated"));
      worker.onerror = (event) => {
        event.preventDefault(); // reported on the page, not in the console
        reject(new Error(event.message || "the worker did not load"));
      };
      worker.postMessage(message, message.picture ? [message.picture] : []);
    });
    return withTimeout(answer, limit, FINDER_SILENT, "finder_failed");
  }

  function close() {
    worker.terminate();
    end();
  }

  try {
    await ask({ base, code: new URL("./landmarker.js", import.meta.url).href, mostHands }, LOADING_MS);
  } catch (error) {
    close();
    throw error;
  }
  return {
    find: (picture, time, isPhoto) => ask({ picture, time, isPhoto }, SEARCH_MS),
    setMostHands: (count) => ask({ mostHands: count }, SEARCH_MS),
    close,
  };
}

/**
 * @param {URL} script
 * @returns {Worker} browsers refuse cross-origin worker scripts, so those are imported from a blob of this origin
 */
function startWorker(script) {
  if (script.origin === location.origin) return new Worker(script);
  const source = `importScripts(${JSON.stringify(script.href)})`;
  const address = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
  try {
    return new Worker(address);
  } finally {
    URL.revokeObjectURL(address);
  }
}

/**
 * Sorts the left hand first, because MediaPipe's order changes from picture to picture.
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
