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
     * of the examples' pictures
     */
    image_size?: Size;
    command?: string;
};
export type OwnGestures = Record<string, OwnGesture>;
export type StreamSettings = {
    /**
     * how long a gesture must be shown until it is held, 150 milliseconds by default
     */
    holdMs?: number;
    /**
     * your own, as the service's page saves
     * them, or the URL of such a file; `{}` removes them
     */
    gestures?: OwnGestures | {
        gestures: OwnGestures;
    } | string | URL;
    /**
     * one of the service's API_KEY, if it requires one
     */
    key?: string;
};
export type Callbacks = {
    /**
     * a hand's held gesture changed; "none" when it is
     * released or the hand leaves
     */
    onChange?: (change: Change) => void;
    /**
     * the answers
     * of a frame, one for each hand, the hands, and the round-trip time
     */
    onFrame?: (answers: Answer[], hands: Point[][], milliseconds: number) => void;
    /**
     * `message` is a sentence for the player, `code` is machine-readable.
     * Each problem is reported once until the next answer.
     */
    onProblem?: (problem: Problem) => void;
    /**
     * the connection to the service changed
     */
    onState?: (state: State) => void;
};
export type CameraSettings = {
    /**
     * most hands to find in a picture, 2 by default
     */
    hands?: number;
};
export type FinderOptions = {
    /**
     * URL of MediaPipe's files, relative to the service; the service sets it
     */
    finder?: string;
    /**
     * address of the service; the one that this module comes from, unless given
     */
    service?: string;
};
export type CameraOptions = {
    /**
     * its deviceId, the front camera by default
     */
    camera?: string;
    /**
     * an element to show the camera in or, if it has a source, to
     * read instead of the camera; or a video file or stream to read
     */
    video?: HTMLVideoElement | Blob | MediaStream;
    /**
     * canvas for the hands' skeletons, resized to the picture
     */
    draw?: HTMLCanvasElement;
    /**
     * stops everything, also during the start
     */
    signal?: AbortSignal;
    /**
     * from `loadFinder`; it is not closed on stop
     */
    finder?: Finder | Promise<Finder> | string;
    /**
     * address of the service; the one that this module comes from, unless given
     */
    service?: string;
    /**
     * the hands of a picture, before the
     * service answers, the picture's size, and the duration of the detection
     */
    onHands?: (hands: Point[][], size: Size, milliseconds: number) => void;
    /**
     * called on `stop`, on `signal`, and before `onProblem` if a problem stops it
     */
    onStop?: () => void;
};
export type Gestures = {
    /**
     * releases the camera and closes the connection
     */
    stop: () => void;
    /**
     * plays the camera
     */
    video: HTMLVideoElement;
    /**
     * null if `video` gave a source
     */
    camera: Camera | null;
    /**
     * changes the given settings
     */
    configure: (settings: StreamSettings & CameraSettings) => Promise<void>;
};
export type ResultStream = {
    /**
     * takes MediaPipe's results, also when there is no
     * hand; the first call connects
     */
    send: (results: Results, picture?: Picture) => void;
    /**
     * changes the given settings
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
 * @typedef {import("./stream.js").Point} Point x and y normalized to 0..1, z as MediaPipe gives it
 * @typedef {import("./stream.js").Answer} Answer
 * @typedef {import("./stream.js").Change} Change
 * @typedef {import("./stream.js").State} State
 * @typedef {import("./camera.js").Camera} Camera
 * @typedef {import("./finder.js").Finder} Finder
 * @typedef {[number, number]} Size width and height in pixels
 *
 * @typedef {object} OwnGesture
 * @property {unknown[]} hands 1 to 64 examples
 * @property {Size} [image_size] of the examples' pictures
 * @property {string} [command]
 * @typedef {Record<string, OwnGesture>} OwnGestures by name
 *
 * @typedef {object} StreamSettings
 * @property {number} [holdMs] how long a gesture must be shown until it is held, 150 milliseconds by default
 * @property {OwnGestures | {gestures: OwnGestures} | string | URL} [gestures] your own, as the service's page saves
 *   them, or the URL of such a file; `{}` removes them
 * @property {string} [key] one of the service's API_KEY, if it requires one
 *
 * @typedef {object} Callbacks
 * @property {(change: Change) => void} [onChange] a hand's held gesture changed; "none" when it is
 *   released or the hand leaves
 * @property {(answers: Answer[], hands: Point[][], milliseconds: number) => void} [onFrame] the answers
 *   of a frame, one for each hand, the hands, and the round-trip time
 * @property {(problem: Problem) => void} [onProblem] `message` is a sentence for the player, `code` is machine-readable.
 *   Each problem is reported once until the next answer.
 * @property {(state: State) => void} [onState] the connection to the service changed
 *
 * @typedef {object} CameraSettings
 * @property {number} [hands] most hands to find in a picture, 2 by default
 *
 * @typedef {object} FinderOptions
 * @property {string} [finder] URL of MediaPipe's files, relative to the service; the service sets it
 * @property {string} [service] address of the service; the one that this module comes from, unless given
 *
 * @typedef {object} CameraOptions
 * @property {string} [camera] its deviceId, the front camera by default
 * @property {HTMLVideoElement | Blob | MediaStream} [video] an element to show the camera in or, if it has a source, to
 *   read instead of the camera; or a video file or stream to read
 * @property {HTMLCanvasElement} [draw] canvas for the hands' skeletons, resized to the picture
 * @property {AbortSignal} [signal] stops everything, also during the start
 * @property {Finder | Promise<Finder> | string} [finder] from `loadFinder`; it is not closed on stop
 * @property {string} [service] address of the service; the one that this module comes from, unless given
 * @property {(hands: Point[][], size: Size, milliseconds: number) => void} [onHands] the hands of a picture, before the
 *   service answers, the picture's size, and the duration of the detection
 * @property {() => void} [onStop] called on `stop`, on `signal`, and before `onProblem` if a problem stops it
 *
 * @typedef {object} Gestures
 * @property {() => void} stop releases the camera and closes the connection
 * @property {HTMLVideoElement} video plays the camera
 * @property {Camera | null} camera null if `video` gave a source
 * @property {(settings: StreamSettings & CameraSettings) => Promise<void>} configure changes the given settings
 *
 * @typedef {object} ResultStream
 * @property {(results: Results, picture?: Picture) => void} send takes MediaPipe's results, also when there is no
 *   hand; the first call connects
 * @property {(settings: StreamSettings) => void} configure changes the given settings
 * @property {() => void} close
 *
 * @typedef {{landmarks: Point[][]}} TaskResults of `@mediapipe/tasks-vision`
 * @typedef {{multiHandLandmarks?: Point[][], image?: Picture}} LegacyResults of `@mediapipe/hands`
 * @typedef {TaskResults | LegacyResults | Point[][]} Results
 * @typedef {Size | {videoWidth: number, videoHeight: number} | {width: number, height: number}} Picture or its size
 */
/**
 * Preloads MediaPipe, or loads it to find hands in photos.
 *
 * @param {CameraSettings & FinderOptions} options
 * @returns {Promise<Finder>}
 * @throws {Problem} if the browser or the service does not support hand tracking
 */
export declare function loadFinder({ finder, hands, service }?: CameraSettings & FinderOptions): Promise<Finder>;
/**
 * Starts the camera, finds hands in its pictures and reports their gestures.
 *
 * @param {Callbacks & StreamSettings & CameraSettings & CameraOptions} options
 * @returns {Promise<Gestures>} once the camera runs and MediaPipe is loaded
 * @throws {Problem} if it cannot start; `onProblem` is called, too
 */
export declare function startGestures(options?: Callbacks & StreamSettings & CameraSettings & CameraOptions): Promise<Gestures>;
/**
 * Reports the gestures in MediaPipe's results, for pages that run MediaPipe themselves.
 *
 * @param {Callbacks & StreamSettings & {service?: string}} options
 * @returns {ResultStream} open one for each camera
 */
export declare function openStream(options?: Callbacks & StreamSettings & {
    service?: string;
}): ResultStream;
