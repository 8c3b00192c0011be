// Draws hands: their skeletons on the picture, and small pictures of the gestures.

import { handShape } from "./hand_shape.js";

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
const SVG = "http://www.w3.org/2000/svg";

/**
 * @param {HTMLCanvasElement} canvas
 * @param {Point[][]} hands in 0..1 of the picture
 * @param {object} options
 * @param {[number, number]} options.size of the picture in pixels
 * @param {string[]} options.colors one for each hand
 * @param {{skin: string, edge: string} | null} [options.body] colours of whole hands under the skeletons
 */
export function drawHands(canvas, hands, { size: [width, height], colors, body = null }) {
  if (canvas.width !== width || canvas.height !== height) {
    canvas.width = width;
    canvas.height = height;
  }
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  const line = Math.max(2, Math.min(width, height) / 110);
  context.clearRect(0, 0, width, height);
  context.lineCap = context.lineJoin = "round";
  hands.forEach((hand, index) => {
    if (body) {
      for (const { kind, path, width: thickness, isFilled } of handShape(hand, [width, height]).layers) {
        const shape = new Path2D(path);
        context.strokeStyle = context.fillStyle = body[kind];
        context.lineWidth = thickness;
        context.stroke(shape);
        if (isFilled) context.fill(shape);
      }
    }
    for (const [style, thickness] of /** @type {[string, number][]} */ ([
      ["#000a", 2 * line],
      [colors[index], line],
    ])) {
      context.strokeStyle = style;
      context.lineWidth = thickness;
      for (const chain of CHAINS) {
        context.beginPath();
        for (const joint of chain) context.lineTo(hand[joint].x * width, hand[joint].y * height);
        context.stroke();
      }
    }
    context.fillStyle = "#fff";
    for (const { x, y } of hand) {
      context.beginPath();
      context.arc(x * width, y * height, line, 0, 2 * Math.PI);
      context.fill();
    }
  });
}

/**
 * @param {Point[]} hand
 * @param {[number, number]} size of the picture that it comes from
 * @returns {SVGSVGElement} the hand alone
 */
export function handIcon(hand, size) {
  const { layers, box } = handShape(hand, size);
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", box.map((value) => value.toFixed(1)).join(" "));
  svg.setAttribute("aria-hidden", "true");
  svg.setAttribute("class", "hand");
  for (const { kind, path, width, isFilled } of layers) {
    const shape = document.createElementNS(SVG, "path");
    shape.setAttribute("class", isFilled ? `${kind} filled` : kind);
    shape.setAttribute("d", path);
    shape.setAttribute("stroke-width", width.toFixed(1));
    svg.append(shape);
  }
  return svg;
}
