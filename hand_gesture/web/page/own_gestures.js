// Gestures of one's own: their examples, and the file that they are kept in; docs/teach.md has its form.
//
// A collection is never changed in place: what adds or removes something gives a new one.

import { Problem } from "./problem.js";

const MOST_GESTURES = 16;
const MOST_EXAMPLES = 64; // of one gesture
const MOST_BYTES = 1_000_000; // of a file, as of a stream's settings
const POINTS = 21;
const DIGITS = 4; // of a coordinate in 0..1
const LARGEST_NORMALIZED = 3; // a coordinate in pixels is larger, see hand_gesture/landmarks.py
const LONGEST_SIDE = 100_000; // of a picture
const SQUARE = /** @type {Size} */ ([100, 100]); // of a hand whose frame is not known
const NONE = "none";
const INVISIBLE = "\\u0000-\\u001f\\u007f-\\u009f\\u200b-\\u200f\\u2028-\\u202e\\u2060-\\u206f\\ufeff";
const NAME = new RegExp(`^[^\\s${INVISIBLE}][^${INVISIBLE}]{0,49}$`, "u");
const LONE_SURROGATE = /[\ud800-\udfff]/u;

export const NO_GESTURES = "This file holds no gestures: open one that was saved on this page.";

/**
 * @typedef {import("./stream.js").Point} Point
 * @typedef {[number, number]} Size
 * @typedef {{hand: Point[], size: Size}} Example a hand in 0..1 of a picture, and the picture's size
 * @typedef {{command: string | null, examples: Example[]}} OwnGesture
 * @typedef {ReadonlyMap<string, OwnGesture>} OwnGestures
 * @typedef {{hands: number[][][], image_size: Size, command?: string}} GestureFields
 */

/**
 * @param {OwnGestures} gestures
 * @param {string} name as it was typed
 * @param {string[]} known the model's gestures, whose names are taken
 * @returns {string} the name of the gesture to add examples to, which may be a new one
 * @throws {Problem} there can be no gesture of this name
 */
export function requireName(gestures, name, known) {
  const trimmed = name.trim();
  if (!trimmed) throw new Problem("Type a name for the gesture first.");
  if (!isName(trimmed)) throw new Problem("A name has at most 50 characters, all visible: choose another one.");
  if ([...known, NONE].some((other) => folded(other) === folded(trimmed))) {
    throw new Problem(`The name ${trimmed} is taken by the model: choose another one.`);
  }
  const present = [...gestures.keys()].find((other) => folded(other) === folded(trimmed));
  if (present === undefined && gestures.size >= MOST_GESTURES) {
    throw new Problem(`There can be ${MOST_GESTURES} gestures: remove one first.`);
  }
  if (roomFor(gestures, present) === 0) {
    throw new Problem(`${present} has ${MOST_EXAMPLES} examples, the most there can be: remove some first.`);
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
function roomFor(gestures, name) {
  return MOST_EXAMPLES - (gestures.get(name ?? "")?.examples.length ?? 0);
}

/** @param {string} name or command */
function isName(name) {
  return NAME.test(name) && !LONE_SURROGATE.test(name);
}

/** @param {string} name */
function folded(name) {
  return name.normalize("NFKC").toLowerCase();
}

/**
 * @param {OwnGestures} gestures
 * @param {string} name of a gesture, which may be new
 * @param {string | null} command null: the one that it has
 * @param {Example[]} examples of which as many are taken, evenly, as there is room for
 * @returns {OwnGestures}
 */
export function withExamples(gestures, name, command, examples) {
  const present = gestures.get(name);
  const added = evenly(examples, roomFor(gestures, name));
  return new Map(gestures).set(name, {
    command: command ?? present?.command ?? null,
    examples: [...(present?.examples ?? []), ...added],
  });
}

/**
 * @param {OwnGestures} gestures
 * @param {string} name
 * @param {number} index of an example; the gesture goes with its last one
 * @returns {OwnGestures}
 */
export function withoutExample(gestures, name, index) {
  const { command = null, examples = [] } = gestures.get(name) ?? {};
  if (examples.length <= 1) return without(gestures, name);
  return new Map(gestures).set(name, { command, examples: examples.toSpliced(index, 1) });
}

/**
 * @param {OwnGestures} gestures
 * @param {string} name
 * @returns {OwnGestures}
 */
export function without(gestures, name) {
  const left = new Map(gestures);
  left.delete(name);
  return left;
}

/**
 * @param {OwnGestures} gestures
 * @param {OwnGestures} added these take the place of others of the same name
 * @returns {OwnGestures}
 * @throws {Problem} together they are too many
 */
export function merged(gestures, added) {
  const all = new Map([...gestures, ...added]);
  if (all.size > MOST_GESTURES) {
    throw new Problem(
      `With this file there were ${all.size} gestures, and there can be ${MOST_GESTURES}: remove some.`,
    );
  }
  return all;
}

/**
 * @template T
 * @param {T[]} items
 * @param {number} count
 * @returns {T[]} at most so many of them, from the first to the last in even steps
 */
export function evenly(items, count) {
  if (items.length <= count) return items;
  return Array.from({ length: count }, (_, index) => items[Math.floor(((index + 0.5) * items.length) / count)]);
}

/**
 * The form of a stream's settings, of POST /gestures and of a saved file.
 *
 * @param {OwnGestures} gestures
 * @returns {Record<string, GestureFields>}
 */
export function asFields(gestures) {
  return Object.fromEntries(
    [...gestures].map(([name, { command, examples }]) => {
      const [{ size }] = examples;
      const hands = examples.map(({ hand, size: own }) =>
        fitted(hand, own, size).map(({ x, y, z = 0 }) => [x, y, z].map((value) => Number(value.toFixed(DIGITS)))),
      );
      return [name, { hands, image_size: size, ...(command && { command }) }];
    }),
  );
}

/**
 * @param {Blob} file
 * @returns {Promise<OwnGestures>}
 * @throws {Problem} it holds something else
 */
export async function readFile(file) {
  if (file.size > MOST_BYTES) throw new Problem(NO_GESTURES);
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
  return new Map(Object.entries(gestures).map(([name, fields]) => [name, readGesture(name, fields)]));
}

/**
 * @param {string} name
 * @param {unknown} fields
 * @returns {OwnGesture}
 */
function readGesture(name, fields) {
  if (!isObject(fields) || !Array.isArray(fields.hands) || !fields.hands.length) throw new Problem(NO_GESTURES);
  const { hands, command = null, image_size: size = null } = fields;
  if (!isName(name) || !(command === null || (typeof command === "string" && isName(command)))) {
    throw new Problem(NO_GESTURES);
  }
  if (!(size === null || isSize(size))) throw new Problem(NO_GESTURES);
  if (hands.length > MOST_EXAMPLES) {
    throw new Problem(
      `${name} has ${hands.length} examples in this file, and there can be ${MOST_EXAMPLES}: use fewer.`,
    );
  }
  return { command, examples: hands.map((hand) => readHand(hand, size)) };
}

/**
 * @param {unknown} value a hand in any of the forms that POST /predict takes
 * @param {Size | null} size of its picture
 * @returns {Example}
 */
function readHand(value, size) {
  const points = pointsOf(value);
  if (points?.length !== POINTS || !points.flat().every(Number.isFinite)) throw new Problem(NO_GESTURES);
  const largest = Math.max(...points.flatMap(([x, y]) => [Math.abs(x), Math.abs(y)]));
  if (size && largest <= LARGEST_NORMALIZED) return { hand: points.map(([x, y, z]) => ({ x, y, z })), size };
  // Its shape is the true one, in pixels or whatever it is in
  return { hand: points.map(([x, y]) => ({ x: x / (largest || 1), y: y / (largest || 1), z: 0 })), size: SQUARE };
}

/**
 * @param {unknown} value
 * @returns {number[][] | null} x, y and z of each point, of any type; null if it is in none of the forms
 */
function pointsOf(value) {
  if (!Array.isArray(value)) return null;
  const [first] = value;
  if (value.length === 1 && Array.isArray(first)) return pointsOf(first);
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
  return Array.isArray(value) && value.length === 2 && value.every((side) => side > 0 && side <= LONGEST_SIDE);
}

/**
 * @param {Point[]} hand in 0..1 of a picture
 * @param {Size} from the picture's size
 * @param {Size} to another size
 * @returns {Point[]} in 0..1 of a picture of that size: the same shape, no larger than it fits
 */
export function fitted(hand, [width, height], [newWidth, newHeight]) {
  if (width === newWidth && height === newHeight) return hand;
  const scale = Math.min(newWidth / width, newHeight / height);
  const [across, down] = [(scale * width) / newWidth, (scale * height) / newHeight];
  return hand.map(({ x, y, z = 0 }) => ({ x: x * across, y: y * down, z: z * across }));
}
