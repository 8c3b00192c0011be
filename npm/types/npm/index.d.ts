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
export type OptionsOfPackage = Omit<CameraOptions, "finder" | "service"> & {
    finder?: Exclude<CameraOptions["finder"], string>;
};
export type Service = {
    /**
     * its address, such as `https://hands.example`; it may be relative to the page's
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
 * @typedef {Omit<CameraOptions, "finder" | "service"> & {finder?: Exclude<CameraOptions["finder"], string>}} OptionsOfPackage
 *
 * @typedef {object} Service
 * @property {string | URL} service its address, such as `https://hands.example`; it may be relative to the page's
 */
/**
 * Finds hands in the camera's pictures, and tells what gestures they hold.
 *
 * @param {Callbacks & StreamSettings & CameraSettings & Service & OptionsOfPackage} options
 * @returns {Promise<Gestures>} once the camera runs and hands can be found in its pictures
 * @throws {Problem} it cannot start; `onProblem` has been called, too
 */
export declare function startGestures({ service, ...options }: Callbacks & StreamSettings & CameraSettings & Service & OptionsOfPackage): Promise<Gestures>;
/**
 * Loads MediaPipe before it is needed, or to look for hands in photos.
 *
 * @param {CameraSettings & Service} options
 * @returns {ReturnType<typeof import("../hand_gesture/web/page/gestures.js").loadFinder>}
 * @throws {Problem} hands cannot be found in this browser, or not with this service
 */
export declare function loadFinder({ service, ...options }: CameraSettings & Service): ReturnType<typeof import("../hand_gesture/web/page/gestures.js").loadFinder>;
/**
 * For pages that run MediaPipe themselves: takes its results, and tells what gestures the hands hold.
 *
 * @param {Callbacks & StreamSettings & Service} options
 * @returns {ResultStream} for one camera
 */
export declare function openStream({ service, ...options }: Callbacks & StreamSettings & Service): ResultStream;
