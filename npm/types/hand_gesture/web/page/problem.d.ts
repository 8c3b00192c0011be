/** An error whose message is for the person before the page. */
export declare class Problem extends Error {
    code: string;
    /**
     * @param {string} sentence
     * @param {string} [code] the same for programs
     */
    constructor(sentence: string, code?: string);
}
/**
 * @param {unknown} error what getUserMedia was rejected with
 * @param {string} id of the camera that was asked for, empty for any
 * @returns {Problem}
 */
export declare function cameraProblem(error: unknown, id: string): Problem;
/**
 * @param {unknown} error what the video element's play() was rejected with
 * @returns {Problem}
 */
export declare function pictureProblem(error: unknown): Problem;
/**
 * @param {unknown} error what a search was rejected with
 * @returns {Problem}
 */
export declare function finderProblem(error: unknown): Problem;
/**
 * @param {unknown} error what the import of the service's module was rejected with
 * @returns {Problem}
 */
export declare function serviceProblem(error: unknown): Problem;
/**
 * @param {unknown} error anything that was thrown
 * @returns {Problem}
 */
export declare function problemOf(error: unknown): Problem;
/**
 * @template T
 * @param {Promise<T>} promise that may never be settled
 * @param {number} milliseconds to wait for it
 * @param {ConstructorParameters<typeof Problem>} problem when that was in vain
 * @returns {Promise<T>}
 */
export declare function within<T>(promise: Promise<T>, milliseconds: number, ...problem: ConstructorParameters<typeof Problem>): Promise<T>;
export declare const INSECURE = "Browsers give the camera only to pages on https or localhost: open this page there.";
export declare const NO_PICTURE_YET = "The camera sends no picture: see that it is not covered by a switch, and start the camera again.";
export declare const NO_WEBASSEMBLY = "This browser has no WebAssembly with SIMD, with which hands are found in a picture: update it.";
export declare const NO_WEBGL = "This browser has no WebGL, through which pictures are read to find hands in them: switch on hardware acceleration in its settings.";
export declare const NO_FINDER = "What finds hands in a picture (MediaPipe) is not on this server: run make page there and start it again.";
export declare const FINDER_FAILED = "What finds hands in a picture (MediaPipe) could not be loaded: look at the connection and start again.";
export declare const FINDER_SILENT = "What finds hands in a picture (MediaPipe) does not answer any more and was ended: start again.";
export declare const NO_PHOTO = "This file is no picture that the browser can read: choose a JPEG, PNG or WebP.";
export declare const NO_HAND = "No hand was found in this picture: try one where a whole hand can be seen.";
export declare const NO_REFERENCE = "The reference hands could not be loaded: see that the service runs, and try again.";
export declare const NO_HANDS_TO_PLAY = "There are no reference hands of this model's gestures: use the camera or a photo.";
export declare const CAMERA_GONE = "The camera was disconnected: connect it and start the camera again.";
export declare const REFUSED = "The service refuses this stream: load this page again.";
export declare const GESTURES_UNREADABLE = "The file of own gestures could not be loaded: see that its address is right, and that it was saved by the page.";
export declare const KEY_NEEDED = "This server asks for a key: type it in below.";
export declare const KEY_WRONG = "The server does not know this key: type in another one.";
