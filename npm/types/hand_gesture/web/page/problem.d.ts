/** An error whose message is meant for the player. */
export declare class Problem extends Error {
    code: string;
    /**
     * @param {string} sentence
     * @param {string} [code] machine-readable
     */
    constructor(sentence: string, code?: string);
}
/**
 * @param {unknown} error from getUserMedia
 * @param {string} id of the camera that was asked for, empty for any
 * @returns {Problem}
 */
export declare function cameraProblem(error: unknown, id: string): Problem;
/**
 * @param {unknown} error from the video element's play()
 * @returns {Problem}
 */
export declare function pictureProblem(error: unknown): Problem;
/**
 * @param {unknown} error from play() of a video file or a stream
 * @returns {Problem}
 */
export declare function videoProblem(error: unknown): Problem;
/**
 * @param {unknown} error from a detection
 * @returns {Problem}
 */
export declare function finderProblem(error: unknown): Problem;
/**
 * @param {unknown} error from the import of the service's module
 * @returns {Problem}
 */
export declare function serviceProblem(error: unknown): Problem;
/**
 * @param {unknown} error of any type
 * @returns {Problem}
 */
export declare function problemOf(error: unknown): Problem;
/**
 * Rejects with a problem if the promise is still pending after a timeout.
 *
 * @template T
 * @param {Promise<T>} promise
 * @param {number} milliseconds
 * @param {ConstructorParameters<typeof Problem>} problem
 * @returns {Promise<T>}
 */
export declare function withTimeout<T>(promise: Promise<T>, milliseconds: number, ...problem: ConstructorParameters<typeof Problem>): Promise<T>;
export declare const INSECURE = "Browsers give the camera only to pages on https or localhost: open this page there.";
export declare const NO_PICTURE_YET = "The camera sends no picture: check its privacy switch, and start the camera again.";
export declare const PICTURE_STOPPED = "The camera sends no pictures any more: check its privacy switch and its cable.";
export declare const NO_VIDEO = "The video shows no picture: check that it plays, and start again.";
export declare const NO_WEBASSEMBLY = "This browser has no WebAssembly with SIMD, which the hand tracking needs: update it.";
export declare const NO_WEBGL = "This browser has no WebGL, which the hand tracking needs: turn on hardware acceleration in its settings.";
export declare const NO_FINDER = "The hand tracking (MediaPipe) is not on this server: run make page there and restart it.";
export declare const FINDER_FAILED = "The hand tracking (MediaPipe) could not be loaded: check the connection and start again, or reload this page.";
export declare const FINDER_SILENT = "The hand tracking (MediaPipe) stopped responding: start again.";
export declare const CAMERA_GONE = "The camera was disconnected: connect it and start the camera again.";
export declare const REFUSED = "The service refuses this stream: reload this page.";
export declare const GESTURES_UNREADABLE = "Your gestures could not be loaded: check the file's address, and that it was saved by the service's page.";
