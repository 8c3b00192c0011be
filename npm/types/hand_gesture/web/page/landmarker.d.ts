export declare const NO_WEBGL_HERE = "NoWebGL";
export type Result = {
    landmarks: import("./stream.js").Point[][];
    handedness: {
        categoryName: string;
    }[][];
};
export type Landmarker = {
    /**
     * closes the picture;
     * time is in milliseconds
     */
    find: (picture: ImageBitmap, time: number, isPhoto: boolean) => Promise<Result>;
    /**
     * most hands to find in a picture
     */
    setMostHands: (count: number) => Promise<void>;
    close: () => void;
};
/**
 * @typedef {object} Result
 * @property {import("./stream.js").Point[][]} landmarks
 * @property {{categoryName: string}[][]} handedness
 *
 * @typedef {object} Landmarker not reentrant: one call at a time
 * @property {(picture: ImageBitmap, time: number, isPhoto: boolean) => Promise<Result>} find closes the picture;
 *   time is in milliseconds
 * @property {(count: number) => Promise<void>} setMostHands most hands to find in a picture
 * @property {() => void} close
 */
/**
 * @param {string} base URL of the folder with MediaPipe's files
 * @param {number} mostHands most hands to find in a picture
 * @returns {Promise<Landmarker>}
 * @throws {Error} named NoWebGL if this thread has none: MediaPipe reads pictures through WebGL even when it
 *   computes on the CPU, and silently finds nothing without it
 */
export declare function loadLandmarker(base: string, mostHands: number): Promise<Landmarker>;
