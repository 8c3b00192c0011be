// Errors between the camera and the answer, each with a message for the player that says what to do.

/** An error whose message is meant for the player. */
export class Problem extends Error {
  /**
   * @param {string} sentence
   * @param {string} [code] machine-readable
   */
  constructor(sentence, code = "failed") {
    super(sentence);
    this.name = "Problem";
    this.code = code;
  }
}

/** @type {Record<string, [string, string]>} */
const CAMERA_PROBLEMS = {
  NotAllowedError: [
    "The camera was denied: allow it for this page, next to its address in the browser, and start the camera again.",
    "camera_denied",
  ],
  NotFoundError: ["There is no camera here: connect one and start the camera again.", "no_camera"],
  NotReadableError: [
    "The camera is in use by another program, or switched off: close that program and start the camera again.",
    "camera_in_use",
  ],
  OverconstrainedError: ["This camera is gone: connect it, or start another one.", "camera_gone"],
};

/**
 * @param {unknown} error from getUserMedia
 * @param {string} id of the camera that was asked for, empty for any
 * @returns {Problem}
 */
export function cameraProblem(error, id) {
  const { name, message } = reasonOf(error);
  // WebKitGTK throws OverconstrainedError if there is no camera
  const known = name === "OverconstrainedError" && !id ? "NotFoundError" : name;
  const failed = `The camera did not start (${message}): start the camera again.`;
  return new Problem(...(CAMERA_PROBLEMS[known] ?? [failed, "camera_failed"]));
}

/**
 * @param {unknown} error from the video element's play()
 * @returns {Problem}
 */
export function pictureProblem(error) {
  return new Problem(
    `The browser does not show the camera's picture (${reasonOf(error).message}): start the camera again.`,
    "no_picture",
  );
}

/**
 * @param {unknown} error from play() of a video file or a stream
 * @returns {Problem}
 */
export function videoProblem(error) {
  return new Problem(`The browser cannot play this video (${reasonOf(error).message}): use another.`, "no_picture");
}

/**
 * @param {unknown} error from a detection
 * @returns {Problem}
 */
export function finderProblem(error) {
  if (error instanceof Problem) return error;
  console.debug(error);
  return new Problem(
    "The hand tracking (MediaPipe) failed and was stopped: start again, or reload this page.",
    "finder_failed",
  );
}

/**
 * @param {unknown} error from the import of the service's module
 * @returns {Problem}
 */
export function serviceProblem(error) {
  console.debug(error);
  return new Problem(
    "The service could not be reached: check that it runs and that its address is right, and start again.",
    "no_service",
  );
}

/**
 * @param {unknown} error of any type
 * @returns {Problem}
 */
export function problemOf(error) {
  if (error instanceof Problem) return error;
  console.debug(error);
  return new Problem(`Something went wrong (${reasonOf(error).message}): reload this page.`);
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
 * Rejects with a problem if the promise is still pending after a timeout.
 *
 * @template T
 * @param {Promise<T>} promise
 * @param {number} milliseconds
 * @param {ConstructorParameters<typeof Problem>} problem
 * @returns {Promise<T>}
 */
export function withTimeout(promise, milliseconds, ...problem) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Problem(...problem)), milliseconds);
    promise.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

export const INSECURE = "Browsers give the camera only to pages on https or localhost: open this page there.";
export const NO_PICTURE_YET = "The camera sends no picture: check its privacy switch, and start the camera again.";
export const PICTURE_STOPPED = "The camera sends no pictures any more: check its privacy switch and its cable.";
export const NO_VIDEO = "The video shows no picture: check that it plays, and start again.";
export const NO_WEBASSEMBLY = "This browser has no WebAssembly with SIMD, which the hand tracking needs: update it.";
export const NO_WEBGL =
  "This browser has no WebGL, which the hand tracking needs: turn on hardware acceleration in its settings.";
export const NO_FINDER = "The hand tracking (MediaPipe) is not on this server: run make page there and restart it.";
export const FINDER_FAILED =
  "The hand tracking (MediaPipe) could not be loaded: check the connection and start again, or reload this page.";
export const FINDER_SILENT = "The hand tracking (MediaPipe) stopped responding: start again.";
export const CAMERA_GONE = "The camera was disconnected: connect it and start the camera again.";
export const REFUSED = "The service refuses this stream: reload this page.";
export const GESTURES_UNREADABLE =
  "Your gestures could not be loaded: check the file's address, and that it was saved by the service's page.";
