export type Answer = import("../hand_gesture/web/page/gestures.js").Answer;
export type Callbacks = import("../hand_gesture/web/page/gestures.js").Callbacks;
export type CameraOptions = import("../hand_gesture/web/page/gestures.js").CameraOptions;
export type CameraSettings = import("../hand_gesture/web/page/gestures.js").CameraSettings;
export type Change = import("../hand_gesture/web/page/gestures.js").Change;
export type Gestures = import("../hand_gesture/web/page/gestures.js").Gestures;
export type OwnGestures = import("../hand_gesture/web/page/gestures.js").OwnGestures;
export type Point = import("../hand_gesture/web/page/gestures.js").Point;
export type ResultStream = import("../hand_gesture/web/page/gestures.js").ResultStream;
export type StreamSettings = import("../hand_gesture/web/page/gestures.js").StreamSettings;
export type Problem = import("../hand_gesture/web/page/problem.js").Problem;
export type PackageOptions = Omit<CameraOptions, "finder" | "service"> & {
    finder?: Exclude<CameraOptions["finder"], string>;
};
export type Service = {
    /**
     * URL of the service, such as `https://hands.example`, or relative to the page
     */
    service: string | URL;
};
/**
 * @typedef {import("../hand_gesture/web/page/gestures.js").Answer} Answer
 * @typedef {import("../hand_gesture/web/page/gestures.js").Callbacks} Callbacks
 * @typedef {import("../hand_gesture/web/page/gestures.js").CameraOptions} CameraOptions
 * @typedef {import("../hand_gesture/web/page/gestures.js").CameraSettings} CameraSettings
 * @typedef {import("../hand_gesture/web/page/gestures.js").Change} Change
 * @typedef {import("../hand_gesture/web/page/gestures.js").Gestures} Gestures
 * @typedef {import("../hand_gesture/web/page/gestures.js").OwnGestures} OwnGestures
 * @typedef {import("../hand_gesture/web/page/gestures.js").Point} Point
 * @typedef {import("../hand_gesture/web/page/gestures.js").ResultStream} ResultStream
 * @typedef {import("../hand_gesture/web/page/gestures.js").StreamSettings} StreamSettings
 * @typedef {import("../hand_gesture/web/page/problem.js").Problem} Problem
 *
 * @typedef {Omit<CameraOptions, "finder" | "service"> & {finder?: Exclude<CameraOptions["finder"], string>}} PackageOptions
 *
 * @typedef {object} Service
 * @property {string | URL} service URL of the service, such as `https://hands.example`, or relative to the page
 */
/**
 * Starts the camera, finds hands in its pictures and reports their gestures.
 *
 * @param {Callbacks & StreamSettings & CameraSettings & Service & PackageOptions} options
 * @returns {Promise<Gestures>} once the camera runs and MediaPipe is loaded
 * @throws {Problem} if it cannot start; `onProblem` is called, too
 */
export declare function startGestures({ service, ...options }: Callbacks & StreamSettings & CameraSettings & Service & PackageOptions): Promise<Gestures>;
/**
 * Preloads MediaPipe, or loads it to find hands in photos.
 *
 * @param {CameraSettings & Service} options
 * @returns {ReturnType<typeof import("../hand_gesture/web/page/gestures.js").loadFinder>}
 * @throws {Problem} if the browser or the service does not support hand tracking
 */
export declare function loadFinder({ service, ...options }: CameraSettings & Service): ReturnType<typeof import("../hand_gesture/web/page/gestures.js").loadFinder>;
/**
 * Reports the gestures in MediaPipe's results, for pages that run MediaPipe themselves.
 *
 * @param {Callbacks & StreamSettings & Service} options
 * @returns {ResultStream} open one for each camera
 */
export declare function openStream({ service, ...options }: Callbacks & StreamSettings & Service): ResultStream;
