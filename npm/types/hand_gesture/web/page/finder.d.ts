export type Point = import("./stream.js").Point;
export type Landmarker = import("./landmarker.js").Landmarker;
export type Result = import("./landmarker.js").Result;
export type Finder = {
    inVideo: (video: HTMLVideoElement, time: number) => Promise<Point[][]>;
    inPhoto: (photo: HTMLCanvasElement) => Promise<Point[][]>;
    /**
     * that are found in a picture
     */
    setMostHands: (count: number) => Promise<void>;
    /**
     * also after a failure
     */
    isClosed: () => boolean;
    /**
     * ends it, and what it was asked for
     */
    close: () => void;
};
/**
 * @typedef {import("./stream.js").Point} Point
 * @typedef {import("./landmarker.js").Landmarker} Landmarker
 * @typedef {import("./landmarker.js").Result} Result
 *
 * @typedef {object} Finder gives 21 points for each hand, in 0..1 of the picture; what it throws is a Problem, and ends it
 * @property {(video: HTMLVideoElement, time: number) => Promise<Point[][]>} inVideo
 * @property {(photo: HTMLCanvasElement) => Promise<Point[][]>} inPhoto
 * @property {(count: number) => Promise<void>} setMostHands that are found in a picture
 * @property {() => boolean} isClosed also after a failure
 * @property {() => void} close ends it, and what it was asked for
 */
/**
 * @param {string} folder address of MediaPipe's files; empty where the server has none
 * @throws {Problem} hands cannot be found in this browser, or not with this server
 */
export declare function requireFinder(folder: string): void;
/**
 * @param {string} folder as above
 * @param {number} mostHands that are found in a picture
 * @returns {Promise<Finder>}
 * @throws {Problem}
 */
export declare function loadFinder(folder: string, mostHands: number): Promise<Finder>;
