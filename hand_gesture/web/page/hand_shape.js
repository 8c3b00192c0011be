// Turns 21 landmarks into the outline of a hand: layered paths, the nearest last (painter's algorithm).

/** @typedef {import("./stream.js").Point} Point */
/** @typedef {{x: number, y: number, z: number}} Place in pixels; a smaller z is nearer to the camera */
/**
 * @typedef {object} Layer drawn in order
 * @property {"edge" | "skin"} kind
 * @property {string} path SVG path data, in pixels
 * @property {number} width of the stroke in pixels
 * @property {boolean} isFilled
 */

const THUMB = [1, 2, 3, 4];
const FINGERS = [
  [5, 6, 7, 8],
  [9, 10, 11, 12],
  [13, 14, 15, 16],
  [17, 18, 19, 20],
];
// In palm lengths
const FINGER_WIDTH = 0.25;
const EDGE_WIDTH = 0.035;
const WRIST_WIDTH = 0.2;
const FOREARM_LENGTH = 0.15;
const FOLDED = 1.1; // below this ratio of the tip's to the middle joint's distance from the wrist

/**
 * @param {Point[]} hand normalized to 0..1
 * @param {[number, number]} size of the picture in pixels
 * @returns {{layers: Layer[], box: [number, number, number, number]}} box: left, top, width,
 *   height
 */
export function handShape(hand, [width, height]) {
  const places = hand.map(({ x, y, z = 0 }) => ({ x: x * width, y: y * height, z: z * width }));
  const unit = palmLength(places);
  const finger = FINGER_WIDTH * unit;
  const edge = EDGE_WIDTH * unit;
  const outline = palmOutline(places, unit);
  const palm = `${line(outline)}Z`;
  const limbs = [...FINGERS, THUMB].map((chain) => {
    const [root, middle, , tip] = chain.map((index) => places[index]);
    const isFolded = isThumb(chain)
      ? Math.min(distance(tip, places[9]), distance(tip, places[13])) < 0.6 * unit
      : distance(tip, places[0]) < FOLDED * distance(middle, places[0]);
    return { chain, isFolded, isBehind: tip.z > root.z, depth: (middle.z + tip.z) / 2 };
  });
  limbs.sort((a, b) => b.depth - a.depth);
  const draw = (/** @type {typeof limbs} */ some) =>
    some.flatMap(({ chain }) => {
      const path = line(chain.map((index) => places[index]));
      return [layer("edge", path, finger + 2 * edge), layer("skin", path, finger)];
    });
  const layers = [
    ...draw(limbs.filter(({ isFolded, isBehind }) => isFolded && isBehind)),
    layer("edge", palm, finger + 2 * edge, true),
    ...draw(limbs.filter(({ isFolded }) => !isFolded)),
    layer("skin", palm, finger, true),
    ...draw(limbs.filter(({ isFolded, isBehind }) => isFolded && !isBehind)),
  ];
  const margin = finger / 2 + 2 * edge;
  const all = [...places, ...outline];
  const [xs, ys] = [all.map(({ x }) => x), all.map(({ y }) => y)];
  const [left, top] = [Math.min(...xs) - margin, Math.min(...ys) - margin];
  return { layers, box: [left, top, Math.max(...xs) + margin - left, Math.max(...ys) + margin - top] };
}

/** @param {number[]} chain */
function isThumb(chain) {
  return chain === THUMB;
}

/**
 * Length and width of the palm are foreshortened from different angles, so the larger estimate counts.
 *
 * @param {Place[]} places
 */
function palmLength(places) {
  return Math.max(distance(places[0], places[9]), 1.3 * distance(places[5], places[17]));
}

/**
 * From the forearm over the knuckles and back.
 *
 * @param {Place[]} places
 * @param {number} unit
 * @returns {Place[]}
 */
function palmOutline(places, unit) {
  const [wrist, knuckle] = [places[0], places[9]];
  const length = distance(wrist, knuckle) || 1;
  const along = { x: (knuckle.x - wrist.x) / length, y: (knuckle.y - wrist.y) / length };
  // +1 or -1, because a left hand mirrors a right one
  const side = Math.sign(along.x * (places[5].y - places[17].y) - along.y * (places[5].x - places[17].x)) || 1;
  const at = (/** @type {number} */ forward, /** @type {number} */ across) => ({
    x: wrist.x + unit * (along.x * forward - along.y * across * side),
    y: wrist.y + unit * (along.y * forward + along.x * across * side),
    z: 0,
  });
  return [
    at(-FOREARM_LENGTH, WRIST_WIDTH / 2),
    at(0, WRIST_WIDTH / 2),
    places[1],
    ...[5, 9, 13, 17].map((index) => places[index]),
    at(0, -WRIST_WIDTH / 2),
    at(-FOREARM_LENGTH, -WRIST_WIDTH / 2),
  ];
}

/**
 * @param {Layer["kind"]} kind
 * @param {string} path
 * @param {number} width
 * @returns {Layer}
 */
function layer(kind, path, width, isFilled = false) {
  return { kind, path, width, isFilled };
}

/** @param {Place[]} places */
function line(places) {
  return `M${places.map(({ x, y }) => `${x.toFixed(1)} ${y.toFixed(1)}`).join("L")}`;
}

/**
 * @param {Place} a
 * @param {Place} b
 */
function distance(a, b) {
  return Math.hypot(a.x - b.x, a.y - b.y);
}
