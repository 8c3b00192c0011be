// Draws filled hands: on a canvas, and as SVG icons of gestures.

import { handShape } from "./hand_shape.js";

/** @typedef {import("./stream.js").Point} Point */

const SVG = "http://www.w3.org/2000/svg";
const COLORS = { skin: "#17453f", edge: "#2a7d72" }; // on the dark picture

/**
 * @param {CanvasRenderingContext2D} context
 * @param {Point[]} hand normalized to 0..1
 * @param {[number, number]} size of the picture in pixels
 */
export function drawHandShape(context, hand, size) {
  for (const { kind, path, width, isFilled } of handShape(hand, size).layers) {
    const shape = new Path2D(path);
    context.strokeStyle = context.fillStyle = COLORS[kind];
    context.lineWidth = width;
    context.stroke(shape);
    if (isFilled) context.fill(shape);
  }
}

/**
 * @param {Point[]} hand
 * @param {[number, number]} size of its picture in pixels
 * @returns {SVGSVGElement} cropped to the hand
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
