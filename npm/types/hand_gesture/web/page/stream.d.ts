export type Point = {
    x: number;
    y: number;
    z?: number;
};
export type Answer = {
    /**
     * ID, stable while the hand is tracked
     */
    hand: number;
    gesture: string;
    /**
     * 0 to 1
     */
    confidence: number;
    command: string | null;
    held: string;
    /**
     * whether `held` differs from the frame before
     */
    changed: boolean;
};
export type Change = {
    hand: number;
    held: string;
    command: string | null;
};
export type Failure = {
    error: string;
    reason: string;
};
export type Settings = {
    image_size?: [number, number];
    hold_ms?: number;
    key?: string;
    gestures?: object;
};
export type State = "open" | "away" | "refused";
/**
 * @typedef {{x: number, y: number, z?: number}} Point
 * @typedef {object} Answer for one hand of a frame
 * @property {number} hand ID, stable while the hand is tracked
 * @property {string} gesture
 * @property {number} confidence 0 to 1
 * @property {string | null} command
 * @property {string} held
 * @property {boolean} changed whether `held` differs from the frame before
 * @typedef {{hand: number, held: string, command: string | null}} Change "none" also when the hand leaves
 * @typedef {{error: string, reason: string}} Failure
 * @typedef {{image_size?: [number, number], hold_ms?: number, key?: string, gestures?: object}} Settings
 * @typedef {"open" | "away" | "refused"} State
 */
/**
 * @param {Point[][]} hands 21 points each
 * @param {number} time of the frame, in milliseconds
 * @returns {ArrayBuffer} little-endian: a float64, then 63 float32 for each hand
 */
export declare function encodeFrame(hands: Point[][], time: number): ArrayBuffer;
/**
 * @param {number} attempt failures in a row
 * @returns {number} milliseconds: exponential backoff with up to 50 % jitter
 */
export declare function waitBefore(attempt: number): number;
/**
 * Calls back until the stream is closed. Exceptions are reported as uncaught errors, so that they do not break the stream.
 *
 * @template {unknown[]} T
 * @param {() => boolean} isClosed
 * @param {(...given: T) => void} [callback]
 * @returns {(...given: T) => void}
 */
export declare function guarded<T extends unknown[]>(isClosed: () => boolean, callback?: (...given: T) => void): (...given: T) => void;
/**
 * @param {string} address
 * @param {object} options
 * @param {Settings} [options.settings]
 * @param {(answers: Answer[], milliseconds: number, hands: Point[][]) => void} [options.onAnswer] one answer
 *   for each hand, in the frame's order, the round-trip time, and the frame's hands
 * @param {(change: Change) => void} [options.onChange] a hand's held gesture changed
 * @param {(failure: Failure) => void} [options.onError] the service rejected a frame, or will close the stream
 * @param {(state: State, sentence: string) => void} [options.onState]
 * @returns {{send: (hands: Point[][]) => void, close: () => void}} `send` takes the hands of a frame, `[]` without hands
 */
export declare function openStream(address: string, { settings, ...callbacks }: {
    settings?: Settings;
    onAnswer?: (answers: Answer[], milliseconds: number, hands: Point[][]) => void;
    onChange?: (change: Change) => void;
    onError?: (failure: Failure) => void;
    onState?: (state: State, sentence: string) => void;
}): {
    send: (hands: Point[][]) => void;
    close: () => void;
};
