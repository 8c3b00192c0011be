// Gestures taught by the user, and their file format (docs/teach.md).
//
// Collections are immutable: functions that add or remove return a new one.

import { Problem } from "./problem.js";

const MAX_GESTURES = 16;
const MAX_EXAMPLES = 64; // of one gesture
const MAX_BYTES = 1_000_000; // of a file; the limit of a stream's settings message
const POINTS = 21;
const DIGITS = 4; // of a normalized coordinate
const MAX_NORMALIZED = 3; // larger coordinates are pixels, as in hand_gesture/landmarks.py
const MAX_SIDE = 100_000; // of a picture in pixels
const SQUARE = /** @type {Size} */ ([100, 100]); // for hands without an image_size
const NONE = "none";
// As in hand_gesture/web/contract.py
const INVISIBLE =
  "\\u0000-\\u001f\\u007f-\\u009f\\u00ad\\u034f\\u061c\\u115f\\u1160\\u17b4\\u17b5\\u180b-\\u180f\\u200b-\\u200f" +
  "\\u2028-\\u202e\\u2060-\\u206f\\u2800\\u3164\\ufeff\\uffa0\\ufff0-\\ufffb\\u{e0000}-\\u{e00ff}";
const NAME = new RegExp(`^[^\\s${INVISIBLE}\\ufe00-\\ufe0f][^${INVISIBLE}]{0,49}$`, "u");
const LONE_SURROGATE = /[\ud800-\udfff]/u;

export const NO_GESTURES = "This file holds no gestures: open one that was saved on this page.";

/**
 * @typedef {import("./stream.js").Point} Point
 * @typedef {[number, number]} Size
 * @typedef {{hand: Point[], size: Size}} Example a normalized hand, and its picture's size in pixels
 * @typedef {{command: string | null, examples: Example[]}} OwnGesture
 * @typedef {ReadonlyMap<string, OwnGesture>} OwnGestures
 * @typedef {{hands: number[][][], image_size: Size, command?: string}} GestureFields
 */

/**
 * @param {OwnGestures} gestures
 * @param {string} name as it was typed
 * @param {string[]} known the model's gestures, whose names are reserved
 * @returns {string} the name of an existing gesture that differs only in case, else the trimmed name
 * @throws {Problem} if the name is invalid or reserved, or a limit is reached
 */
export function requireName(gestures, name, known) {
  const trimmed = name.trim();
  if (!trimmed) throw new Problem("Type a name for the gesture first.");
  if (!isName(trimmed)) throw new Problem("A name has at most 50 characters, all visible: choose another one.");
  if ([...known, NONE].some((other) => caseFolded(other) === caseFolded(trimmed))) {
    throw new Problem(`The name ${trimmed} is taken by the model: choose another one.`);
  }
  const present = [...gestures.keys()].find((other) => caseFolded(other) === caseFolded(trimmed));
  if (present === undefined && gestures.size >= MAX_GESTURES) {
    throw new Problem(`There can be ${MAX_GESTURES} gestures: remove one first.`);
  }
  if (remainingExamples(gestures, present) === 0) {
    throw new Problem(`${present} has ${MAX_EXAMPLES} examples, the most there can be: remove some first.`);
  }
  return present ?? trimmed;
}

/**
 * @param {string} command as it was typed
 * @returns {string | null}
 * @throws {Problem}
 */
export function requireCommand(command) {
  const trimmed = command.trim();
  if (trimmed && !isName(trimmed)) {
    throw new Problem("A command has at most 50 characters, all visible: choose another one, or none.");
  }
  return trimmed || null;
}

/**
 * @param {OwnGestures} gestures
 * @param {string | undefined} name
 * @returns {number} how many more examples a gesture may have
 */
function remainingExamples(gestures, name) {
  return MAX_EXAMPLES - (gestures.get(name ?? "")?.examples.length ?? 0);
}

/** @param {string} name or command */
function isName(name) {
  return NAME.test(name) && !LONE_SURROGATE.test(name);
}

/**
 * @param {string} name
 * @returns {string} equal for names of the same gesture
 */
export function caseFolded(name) {
  return name.normalize("NFKC").toLowerCase();
}

/**
 * @param {OwnGestures} gestures
 * @param {string} name of a new or existing gesture
 * @param {string | null} command null keeps the present one
 * @param {Example[]} examples sampled evenly if they exceed the limit
 * @returns {OwnGestures}
 */
export function withExamples(gestures, name, command, examples) {
  const present = gestures.get(name);
  const added = sampleEvenly(examples, remainingExamples(gestures, name));
  return new Map(gestures).set(name, {
    command: command ?? present?.command ?? null,
    examples: [...(present?.examples ?? []), ...added],
  });
}

/**
 * @param {OwnGestures} gestures
 * @param {string} name
 * @param {number} index of an example; removing the last one removes the gesture
 * @returns {OwnGestures}
 */
export function withoutExample(gestures, name, index) {
  const { command = null, examples = [] } = gestures.get(name) ?? {};
  if (examples.length <= 1) return withoutGesture(gestures, name);
  return new Map(gestures).set(name, { command, examples: examples.toSpliced(index, 1) });
}

/**
 * @param {OwnGestures} gestures
 * @param {string} name
 * @returns {OwnGestures}
 */
export function withoutGesture(gestures, name) {
  const left = new Map(gestures);
  left.delete(name);
  return left;
}

/**
 * @param {OwnGestures} gestures
 * @param {OwnGestures} added replace gestures of the same name
 * @returns {OwnGestures}
 * @throws {Problem} if there are too many
 */
export function mergeGestures(gestures, added) {
  const all = new Map([...gestures, ...added]);
  if (all.size > MAX_GESTURES) {
    throw new Problem(`With this file there were ${all.size} gestures, and there can be ${MAX_GESTURES}: remove some.`);
  }
  return all;
}

/**
 * @template T
 * @param {T[]} items
 * @param {number} count
 * @returns {T[]} at most `count` of them, evenly spaced
 */
export function sampleEvenly(items, count) {
  if (items.length <= count) return items;
  return Array.from({ length: count }, (_, index) => items[Math.floor(((index + 0.5) * items.length) / count)]);
}

/**
 * Serializes gestures for a stream's settings, POST /gestures and saved files.
 *
 * @param {OwnGestures} gestures
 * @returns {Record<string, GestureFields>}
 */
export function serialize(gestures) {
  return Object.fromEntries(
    [...gestures].map(([name, { command, examples }]) => {
      const [{ size }] = examples;
      const hands = examples.map(({ hand, size: own }) =>
        rescaled(hand, own, size).map(({ x, y, z = 0 }) => [x, y, z].map((value) => Number(value.toFixed(DIGITS)))),
      );
      return [name, { hands, image_size: size, ...(command && { command }) }];
    }),
  );
}

/**
 * @param {Blob} file
 * @returns {Promise<OwnGestures>}
 * @throws {Problem} if it is no file of gestures
 */
export async function parseFile(file) {
  if (file.size > MAX_BYTES) throw new Problem(NO_GESTURES);
  const text = await file.text().catch(() => "");
  /** @type {unknown} */
  let document;
  try {
    document = JSON.parse(text);
  } catch {
    throw new Problem(NO_GESTURES);
  }
  const gestures = isObject(document) ? document.gestures : null;
  if (!isObject(gestures) || !Object.keys(gestures).length) throw new Problem(NO_GESTURES);
  return new Map(Object.entries(gestures).map(([name, fields]) => [name, parseGesture(name, fields)]));
}

/**
 * @param {string} name
 * @param {unknown} fields
 * @returns {OwnGesture}
 */
function parseGesture(name, fields) {
  if (!isObject(fields) || !Array.isArray(fields.hands) || !fields.hands.length) throw new Problem(NO_GESTURES);
  const { hands, command = null, image_size: size = null } = fields;
  if (!isName(name) || !(command === null || (typeof command === "string" && isName(command)))) {
    throw new Problem(NO_GESTURES);
  }
  if (!(size === null || isSize(size))) throw new Problem(NO_GESTURES);
  if (hands.length > MAX_EXAMPLES) {
    throw new Problem(
      `${name} has ${hands.length} examples in this file, and there can be ${MAX_EXAMPLES}: use fewer.`,
    );
  }
  return { command, examples: hands.map((hand) => parseHand(hand, size)) };
}

/**
 * @param {unknown} value a hand in any format that POST /predict accepts
 * @param {Size | null} size of its picture
 * @returns {Example}
 */
function parseHand(value, size) {
  const points = parsePoints(value);
  if (points?.length !== POINTS || !points.flat().every(Number.isFinite)) throw new Problem(NO_GESTURES);
  const largest = Math.max(...points.flatMap(([x, y]) => [Math.abs(x), Math.abs(y)]));
  if (size && largest <= MAX_NORMALIZED) return { hand: points.map(([x, y, z]) => ({ x, y, z })), size };
  // Without a size, or in pixels, x and y have the same unit: scale both to a square
  return { hand: points.map(([x, y]) => ({ x: x / (largest || 1), y: y / (largest || 1), z: 0 })), size: SQUARE };
}

/**
 * @param {unknown} value
 * @returns {number[][] | null} x, y and z of each point, not yet validated; null if the format is unknown
 */
function parsePoints(value) {
  if (!Array.isArray(value)) return null;
  const [first] = value;
  if (value.length === 1 && Array.isArray(first)) return parsePoints(first);
  if (value.length === POINTS && value.every((point) => Array.isArray(point) && [2, 3].includes(point.length))) {
    return value.map(([x, y, z = 0]) => [x, y, z]);
  }
  if (value.length === POINTS && value.every(isObject)) return value.map(({ x, y, z = 0 }) => [x, y, z]);
  const each = value.length / POINTS;
  if (each !== 2 && each !== 3) return null;
  return Array.from({ length: POINTS }, (_, point) =>
    [0, 1, 2].map((axis) => (axis < each ? value[each * point + axis] : 0)),
  );
}

/**
 * @param {unknown} value
 * @returns {value is Record<string, any>}
 */
function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/**
 * @param {unknown} value
 * @returns {value is Size}
 */
function isSize(value) {
  return Array.isArray(value) && value.length === 2 && value.every((side) => side > 0 && side <= MAX_SIDE);
}

/**
 * Converts a hand to a picture of another size, keeping its aspect ratio.
 *
 * @param {Point[]} hand normalized to 0..1
 * @param {Size} from the picture's size
 * @param {Size} to the other picture's size
 * @returns {Point[]} normalized to the other picture
 */
export function rescaled(hand, [width, height], [newWidth, newHeight]) {
  if (width === newWidth && height === newHeight) return hand;
  const scale = Math.min(newWidth / width, newHeight / height);
  const [across, down] = [(scale * width) / newWidth, (scale * height) / newHeight];
  return hand.map(({ x, y, z = 0 }) => ({ x: x * across, y: y * down, z: z * across }));
}
