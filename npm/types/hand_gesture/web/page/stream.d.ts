export type Point = {
    x: number;
    y: number;
    z?: number;
};
export type Answer = {
    /**
     * a number that stays with the hand
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
     * whether it held something else before
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
 * @property {number} hand a number that stays with the hand
 * @property {string} gesture
 * @property {number} confidence 0 to 1
 * @property {string | null} command
 * @property {string} held
 * @property {boolean} changed whether it held something else before
 * @typedef {{hand: number, held: string, command: string | null}} Change of what a hand holds; "none" also when it left
 * @typedef {{error: string, reason: string}} Failure
 * @typedef {{image_size?: [number, number], hold_ms?: number, key?: string, gestures?: object}} Settings
 * @typedef {"open" | "away" | "refused"} State
 */
/**
 * @param {Point[][]} hands 21 points for each hand
 * @param {number} time of the frame, in milliseconds
 * @returns {ArrayBuffer} 8 bytes, and 252 for each hand
 */
export declare function encodeFrame(hands: Point[][], time: number): ArrayBuffer;
/**
 * @param {number} attempt how many have failed in a row
 * @returns {number} milliseconds to wait: twice as long each time, half of it by chance
 */
export declare function waitBefore(attempt: number): number;
/**
 * @param {string} address
 * @param {object} options
 * @param {Settings} [options.settings]
 * @param {(answers: Answer[], milliseconds: number, hands: Point[][]) => void} [options.onAnswer] for each hand of the
 *   frame, in its order, the time that the answer took, and the frame
 * @param {(change: Change) => void} [options.onChange] a hand holds something else than before
 * @param {(failure: Failure) => void} [options.onError] a frame was refused, or the stream is about to be
 * @param {(state: State, sentence: string) => void} [options.onState]
 * @returns {{send: (hands: Point[][]) => void, configure: (settings: Settings) => void, close: () => void}}
 *   `send` takes the hands of a frame, an empty list if it shows none; `configure` goes on with other settings
 */
export declare function openStream(address: string, { settings, ...callbacks }: {
    settings?: Settings;
    onAnswer?: (answers: Answer[], milliseconds: number, hands: Point[][]) => void;
    onChange?: (change: Change) => void;
    onError?: (failure: Failure) => void;
    onState?: (state: State, sentence: string) => void;
}): {
    send: (hands: Point[][]) => void;
    configure: (settings: Settings) => void;
    close: () => void;
};
