// Draws hands: on the picture, and as small pictures of the gestures.

/** @typedef {import("./stream.js").Point} Point */

// Thumb, four fingers, and across the palm
const CHAINS = [
  [0, 1, 2, 3, 4],
  [0, 5, 6, 7, 8],
  [9, 10, 11, 12],
  [13, 14, 15, 16],
  [0, 17, 18, 19, 20],
  [5, 9, 13, 17],
];
const MARGIN = 0.1;

/**
 * @param {HTMLCanvasElement} canvas
 * @param {Point[][]} hands in 0..1 of the picture
 * @param {[number, number]} size of the picture in pixels
 */
export function drawHands(canvas, hands, [width, height]) {
  if (canvas.width !== width || canvas.height !== height) {
    canvas.width = width;
    canvas.height = height;
  }
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  const { color } = getComputedStyle(canvas);
  const line = Math.max(2, Math.min(width, height) / 110);
  context.clearRect(0, 0, width, height);
  context.lineCap = context.lineJoin = "round";
  for (const hand of hands) {
    for (const [style, thickness] of /** @type {[string, number][]} */ ([
      ["#000a", 2 * line],
      [color, line],
    ])) {
      context.strokeStyle = style;
      context.lineWidth = thickness;
      for (const chain of CHAINS) {
        context.beginPath();
        for (const index of chain) context.lineTo(hand[index].x * width, hand[index].y * height);
        context.stroke();
      }
    }
    context.fillStyle = "#fff";
    for (const { x, y } of hand) {
      context.beginPath();
      context.arc(x * width, y * height, line, 0, 2 * Math.PI);
      context.fill();
    }
  }
}

/**
 * @param {Point[]} hand
 * @param {[number, number]} size of the picture that it comes from
 * @returns {SVGSVGElement} the hand alone, as large as it fits into a square
 */
export function handIcon(hand, [width, height]) {
  const xs = hand.map(({ x }) => x * width);
  const ys = hand.map(({ y }) => y * height);
  const [left, right, top, bottom] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
  const scale = (1 - 2 * MARGIN) / Math.max(right - left, bottom - top);
  const place = (/** @type {number} */ index) =>
    `${(0.5 + (xs[index] - (left + right) / 2) * scale).toFixed(3)} ${(0.5 + (ys[index] - (top + bottom) / 2) * scale).toFixed(3)}`;
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 1 1");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(svg.namespaceURI, "path");
  path.setAttribute("d", CHAINS.map((chain) => `M${chain.map(place).join("L")}`).join(""));
  svg.append(path);
  return /** @type {SVGSVGElement} */ (svg);
}
