export type Point = import("./stream.js").Point;
export type Landmarker = import("./landmarker.js").Landmarker;
export type Result = import("./landmarker.js").Result;
export type Finder = {
    inVideo: (video: HTMLVideoElement, time: number) => Promise<Point[][]>;
    inPhoto: (photo: HTMLCanvasElement) => Promise<Point[][]>;
    /**
     * most hands to find in a picture
     */
    setMostHands: (count: number) => Promise<void>;
    /**
     * also after a failure
     */
    isClosed: () => boolean;
    /**
     * rejects pending calls
     */
    close: () => void;
};
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
export declare function requireFinder(folder: string): void;
/**
 * @param {string} folder as above
 * @param {number} mostHands most hands to find in a picture
 * @returns {Promise<Finder>}
 * @throws {Problem}
 */
export declare function loadFinder(folder: string, mostHands: number): Promise<Finder>;
