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
     * times are in milliseconds
     */
    find: (picture: ImageBitmap, time: number, isPhoto: boolean) => Promise<Result>;
    /**
     * that are found in a picture
     */
    setMostHands: (count: number) => Promise<void>;
    close: () => void;
};
/**
 * @typedef {object} Result
 * @property {import("./stream.js").Point[][]} landmarks
 * @property {{categoryName: string}[][]} handedness
 *
 * @typedef {object} Landmarker one search at a time
 * @property {(picture: ImageBitmap, time: number, isPhoto: boolean) => Promise<Result>} find closes the picture;
 *   times are in milliseconds
 * @property {(count: number) => Promise<void>} setMostHands that are found in a picture
 * @property {() => void} close
 */
/**
 * @param {string} base address of the folder with MediaPipe's files
 * @param {number} mostHands that are found in a picture
 * @returns {Promise<Landmarker>}
 * @throws {Error} named NoWebGL where this thread has none: MediaPipe reads pictures through it even when it computes on
 *   the CPU, and without it finds nothing and says nothing
 */
export declare function loadLandmarker(base: string, mostHands: number): Promise<Landmarker>;
