// What can go wrong on the way from the camera to the answer, each as a sentence that says what to do.

/** An error whose message is for the person before the page. */
export class Problem extends Error {}

/** @type {Record<string, string>} */
const OF_CAMERAS = {
  NotAllowedError:
    "The camera was denied: allow it for this page, next to its address in the browser, and press Start camera again.",
  NotFoundError: "There is no camera here: connect one and press Start camera again, or play the reference hands.",
  NotReadableError:
    "The camera is in use by another program, or switched off: close that program and press Start camera again.",
  OverconstrainedError: "This camera is gone: choose another one.",
};

/**
 * @param {unknown} error what getUserMedia was rejected with
 * @returns {Problem}
 */
export function cameraProblem(error) {
  const { name, message } = /** @type {Error} */ (error);
  return new Problem(OF_CAMERAS[name] ?? `The camera did not start (${message}): press Start camera again.`);
}

export const INSECURE =
  "Browsers give the camera only to pages on https or localhost: open this page there, or play the reference hands.";
export const NO_WEBASSEMBLY =
  "This browser has no WebAssembly with SIMD, with which hands are found in a picture: update it, or play the reference hands.";
export const NO_FINDER =
  "What finds hands in a picture (MediaPipe) is not on this server: run make page there and start it again. The reference hands can be played without it.";
export const FINDER_FAILED =
  "What finds hands in a picture (MediaPipe) could not be loaded: look at the connection and press the button again.";
export const NO_PICTURE = "This file is no picture that the browser can read: choose a JPEG, PNG or WebP.";
export const NO_HAND = "No hand was found in this picture: try one where a whole hand can be seen.";
export const NO_REFERENCE =
  "The reference hands could not be loaded: see that the service runs, and load this page again.";
export const CAMERA_GONE = "The camera was disconnected: connect it and press Start camera again.";
export const KEY_NEEDED = "This server asks for a key: type it in below.";
export const KEY_WRONG = "The server does not know this key: type in another one.";
