// What can go wrong between the camera and the answer, each as a sentence that says what to do.

/** An error whose message is for the person before the page. */
export class Problem extends Error {
  /**
   * @param {string} sentence
   * @param {string} [code] the same for programs
   */
  constructor(sentence, code = "failed") {
    super(sentence);
    this.name = "Problem";
    this.code = code;
  }
}

/** @type {Record<string, [string, string]>} */
const OF_CAMERAS = {
  NotAllowedError: [
    "The camera was denied: allow it for this page, next to its address in the browser, and start the camera again.",
    "camera_denied",
  ],
  NotFoundError: ["There is no camera here: connect one and start the camera again.", "no_camera"],
  NotReadableError: [
    "The camera is in use by another program, or switched off: close that program and start the camera again.",
    "camera_in_use",
  ],
  OverconstrainedError: ["This camera is gone: choose another one.", "camera_gone"],
};

/**
 * @param {unknown} error what getUserMedia was rejected with
 * @param {string} id of the camera that was asked for, empty for any
 * @returns {Problem}
 */
export function cameraProblem(error, id) {
  const { name, message } = reasonOf(error);
  // WebKitGTK says this where there is no camera at all
  const known = name === "OverconstrainedError" && !id ? "NotFoundError" : name;
  const failed = `The camera did not start (${message}): start the camera again.`;
  return new Problem(...(OF_CAMERAS[known] ?? [failed, "camera_failed"]));
}

/**
 * @param {unknown} error what the video element's play() was rejected with
 * @returns {Problem}
 */
export function pictureProblem(error) {
  return new Problem(
    `The browser does not show the camera's picture (${reasonOf(error).message}): start the camera again.`,
    "no_picture",
  );
}

/**
 * @param {unknown} error what a search was rejected with
 * @returns {Problem}
 */
export function finderProblem(error) {
  if (error instanceof Problem) return error;
  console.debug(error);
  return new Problem(
    "What finds hands in a picture (MediaPipe) has failed and was ended: start again, or load this page again.",
    "finder_failed",
  );
}

/**
 * @param {unknown} error what the import of the service's module was rejected with
 * @returns {Problem}
 */
export function serviceProblem(error) {
  console.debug(error);
  return new Problem(
    "The service could not be reached: see that it runs and that its address is right, and start again.",
    "no_service",
  );
}

/**
 * @param {unknown} error anything that was thrown
 * @returns {Problem}
 */
export function problemOf(error) {
  if (error instanceof Problem) return error;
  console.debug(error);
  return new Problem(`Something failed that should not have (${reasonOf(error).message}): load this page again.`);
}

/**
 * @param {unknown} error
 * @returns {{name: string, message: string}}
 */
function reasonOf(error) {
  if (error instanceof Error || error instanceof DOMException) {
    return { name: error.name, message: error.message || error.name };
  }
  return { name: "", message: String(error) };
}

/**
 * @template T
 * @param {Promise<T>} promise that may never be settled
 * @param {number} milliseconds to wait for it
 * @param {ConstructorParameters<typeof Problem>} problem when that was in vain
 * @returns {Promise<T>}
 */
export function within(promise, milliseconds, ...problem) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Problem(...problem)), milliseconds);
    promise.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

export const INSECURE = "Browsers give the camera only to pages on https or localhost: open this page there.";
export const NO_PICTURE_YET =
  "The camera sends no picture: see that it is not covered by a switch, and start the camera again.";
export const NO_WEBASSEMBLY =
  "This browser has no WebAssembly with SIMD, with which hands are found in a picture: update it.";
export const NO_WEBGL =
  "This browser has no WebGL, through which pictures are read to find hands in them: switch on hardware acceleration in its settings.";
export const NO_FINDER =
  "What finds hands in a picture (MediaPipe) is not on this server: run make page there and start it again.";
export const FINDER_FAILED =
  "What finds hands in a picture (MediaPipe) could not be loaded: look at the connection and start again.";
export const FINDER_SILENT =
  "What finds hands in a picture (MediaPipe) does not answer any more and was ended: start again.";
export const NO_PHOTO = "This file is no picture that the browser can read: choose a JPEG, PNG or WebP.";
export const NO_HAND = "No hand was found in this picture: try one where a whole hand can be seen.";
export const NO_REFERENCE = "The reference hands could not be loaded: see that the service runs, and try again.";
export const NO_HANDS_TO_PLAY = "There are no reference hands of this model's gestures: use the camera or a photo.";
export const CAMERA_GONE = "The camera was disconnected: connect it and start the camera again.";
export const REFUSED = "The service refuses this stream: load this page again.";
export const GESTURES_UNREADABLE =
  "The file of own gestures could not be loaded: see that its address is right, and that it was saved by the page.";
export const KEY_NEEDED = "This server asks for a key: type it in below.";
export const KEY_WRONG = "The server does not know this key: type in another one.";
