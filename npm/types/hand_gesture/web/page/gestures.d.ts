import { Problem } from "./problem.js";
export type Point = import("./stream.js").Point;
export type Answer = import("./stream.js").Answer;
export type Change = import("./stream.js").Change;
export type State = import("./stream.js").State;
export type Camera = import("./camera.js").Camera;
export type Finder = import("./finder.js").Finder;
export type Size = [number, number];
export type OwnGesture = {
    /**
     * 1 to 64 examples
     */
    hands: unknown[];
    /**
     * of the pictures that they come from
     */
    image_size?: Size;
    command?: string;
};
export type OwnGestures = Record<string, OwnGesture>;
export type StreamSettings = {
    /**
     * how long a gesture must be shown until it holds, 150 milliseconds unless given
     */
    holdMs?: number;
    /**
     * of one's own, as the page saves them, or the
     * address of such a file; `{}` for none
     */
    gestures?: OwnGestures | {
        gestures: OwnGestures;
    } | string | URL;
    /**
     * one of the service's API_KEY, where it asks for one
     */
    key?: string;
};
export type Callbacks = {
    /**
     * a hand holds another gesture than before; "none" also when it has left
     */
    onChange?: (change: Change) => void;
    /**
     * an answer for each hand of a frame,
     * the hands, and how long the answer took
     */
    onFrame?: (answers: Answer[], hands: Point[][], milliseconds: number) => void;
    /**
     * something is wrong: `message` is a sentence for the player, `code` is
     * for programs. It is called once for each problem until answers come again.
     */
    onProblem?: (problem: Problem) => void;
    /**
     * the connection to the service has changed
     */
    onState?: (state: State) => void;
};
export type CameraSettings = {
    /**
     * most hands that are looked for, 2 unless given
     */
    hands?: number;
};
export type FinderOptions = {
    /**
     * folder with MediaPipe's files on the service, which fills it in
     */
    finder?: string;
    /**
     * address of the service; the one that this module comes from, unless given
     */
    service?: string;
};
export type CameraOptions = {
    /**
     * which one, by its deviceId; the one that faces the player, unless given
     */
    camera?: string;
    /**
     * an element in which the camera is shown or, if it already has a
     * source, whose pictures are used; or a film or stream in place of the camera
     */
    video?: HTMLVideoElement | Blob | MediaStream;
    /**
     * where the hands' skeletons are drawn, in the size of the picture
     */
    draw?: HTMLCanvasElement;
    /**
     * stops it, also while it starts
     */
    signal?: AbortSignal;
    /**
     * what `loadFinder` gave, which is left open
     */
    finder?: Finder | Promise<Finder> | string;
    /**
     * address of the service; the one that this module comes from, unless given
     */
    service?: string;
    /**
     * the hands of a picture, before the service
     * has answered, the size of the picture, and how long the search took
     */
    onHands?: (hands: Point[][], size: Size, milliseconds: number) => void;
    /**
     * it has ended, by `stop`, `signal` or a problem, which `onProblem` is told next
     */
    onStop?: () => void;
};
export type Gestures = {
    /**
     * gives the camera back and ends everything
     */
    stop: () => void;
    /**
     * shows what the camera sees
     */
    video: HTMLVideoElement;
    /**
     * null where a film or another source takes its place
     */
    camera: Camera | null;
    /**
     * changes what is given
     */
    configure: (settings: StreamSettings & CameraSettings) => Promise<void>;
};
export type ResultStream = {
    /**
     * takes what MediaPipe found in a picture, also if that is no
     * hand; the first frame opens the connection
     */
    send: (results: Results, picture?: Picture) => void;
    /**
     * changes what is given
     */
    configure: (settings: StreamSettings) => void;
    close: () => void;
};
export type TaskResults = {
    landmarks: Point[][];
};
export type LegacyResults = {
    multiHandLandmarks?: Point[][];
    image?: Picture;
};
export type Results = TaskResults | LegacyResults | Point[][];
export type Picture = Size | {
    videoWidth: number;
    videoHeight: number;
} | {
    width: number;
    height: number;
};
/**
 * @typedef {import("./stream.js").Point} Point 0 to 1 of the picture; z as MediaPipe gives it
 * @typedef {import("./stream.js").Answer} Answer
 * @typedef {import("./stream.js").Change} Change
 * @typedef {import("./stream.js").State} State
 * @typedef {import("./camera.js").Camera} Camera
 * @typedef {import("./finder.js").Finder} Finder
 * @typedef {[number, number]} Size width and height in pixels
 *
 * @typedef {object} OwnGesture
 * @property {unknown[]} hands 1 to 64 examples
 * @property {Size} [image_size] of the pictures that they come from
 * @property {string} [command]
 * @typedef {Record<string, OwnGesture>} OwnGestures by their names
 *
 * @typedef {object} StreamSettings
 * @property {number} [holdMs] how long a gesture must be shown until it holds, 150 milliseconds unless given
 * @property {OwnGestures | {gestures: OwnGestures} | string | URL} [gestures] of one's own, as the page saves them, or the
 *   address of such a file; `{}` for none
 * @property {string} [key] one of the service's API_KEY, where it asks for one
 *
 * @typedef {object} Callbacks
 * @property {(change: Change) => void} [onChange] a hand holds another gesture than before; "none" also when it has left
 * @property {(answers: Answer[], hands: Point[][], milliseconds: number) => void} [onFrame] an answer for each hand of a frame,
 *   the hands, and how long the answer took
 * @property {(problem: Problem) => void} [onProblem] something is wrong: `message` is a sentence for the player, `code` is
 *   for programs. It is called once for each problem until answers come again.
 * @property {(state: State) => void} [onState] the connection to the service has changed
 *
 * @typedef {object} CameraSettings
 * @property {number} [hands] most hands that are looked for, 2 unless given
 *
 * @typedef {object} FinderOptions
 * @property {string} [finder] folder with MediaPipe's files on the service, which fills it in
 * @property {string} [service] address of the service; the one that this module comes from, unless given
 *
 * @typedef {object} CameraOptions
 * @property {string} [camera] which one, by its deviceId; the one that faces the player, unless given
 * @property {HTMLVideoElement | Blob | MediaStream} [video] an element in which the camera is shown or, if it already has a
 *   source, whose pictures are used; or a film or stream in place of the camera
 * @property {HTMLCanvasElement} [draw] where the hands' skeletons are drawn, in the size of the picture
 * @property {AbortSignal} [signal] stops it, also while it starts
 * @property {Finder | Promise<Finder> | string} [finder] what `loadFinder` gave, which is left open
 * @property {string} [service] address of the service; the one that this module comes from, unless given
 * @property {(hands: Point[][], size: Size, milliseconds: number) => void} [onHands] the hands of a picture, before the service
 *   has answered, the size of the picture, and how long the search took
 * @property {() => void} [onStop] it has ended, by `stop`, `signal` or a problem, which `onProblem` is told next
 *
 * @typedef {object} Gestures
 * @property {() => void} stop gives the camera back and ends everything
 * @property {HTMLVideoElement} video shows what the camera sees
 * @property {Camera | null} camera null where a film or another source takes its place
 * @property {(settings: StreamSettings & CameraSettings) => Promise<void>} configure changes what is given
 *
 * @typedef {object} ResultStream
 * @property {(results: Results, picture?: Picture) => void} send takes what MediaPipe found in a picture, also if that is no
 *   hand; the first frame opens the connection
 * @property {(settings: StreamSettings) => void} configure changes what is given
 * @property {() => void} close
 *
 * @typedef {{landmarks: Point[][]}} TaskResults of `@mediapipe/tasks-vision`
 * @typedef {{multiHandLandmarks?: Point[][], image?: Picture}} LegacyResults of `@mediapipe/hands`
 * @typedef {TaskResults | LegacyResults | Point[][]} Results
 * @typedef {Size | {videoWidth: number, videoHeight: number} | {width: number, height: number}} Picture or its size
 */
/**
 * Loads MediaPipe before it is needed, or to look for hands in photos.
 *
 * @param {CameraSettings & FinderOptions} options
 * @returns {Promise<Finder>}
 * @throws {Problem} hands cannot be found in this browser, or not with this service
 */
export declare function loadFinder({ finder, hands, service }?: CameraSettings & FinderOptions): Promise<Finder>;
/**
 * Finds hands in the camera's pictures, and tells what gestures they hold.
 *
 * @param {Callbacks & StreamSettings & CameraSettings & CameraOptions} options
 * @returns {Promise<Gestures>} once the camera runs and hands can be found in its pictures
 * @throws {Problem} it cannot start; `onProblem` has been called, too
 */
export declare function startGestures(options?: Callbacks & StreamSettings & CameraSettings & CameraOptions): Promise<Gestures>;
/**
 * For pages that run MediaPipe themselves: takes its results, and tells what gestures the hands hold.
 *
 * @param {Callbacks & StreamSettings & {service?: string}} options
 * @returns {ResultStream} for one camera
 */
export declare function openStream(options?: Callbacks & StreamSettings & {
    service?: string;
}): ResultStream;
