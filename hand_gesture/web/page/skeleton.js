// Draws hand skeletons on a canvas.

/** @typedef {import("./stream.js").Point} Point */

// Landmark indices of the thumb, the fingers and the knuckles
const CHAINS = [
  [0, 1, 2, 3, 4],
  [0, 5, 6, 7, 8],
  [9, 10, 11, 12],
  [13, 14, 15, 16],
  [0, 17, 18, 19, 20],
  [5, 9, 13, 17],
];

/**
 * @param {HTMLCanvasElement} canvas
 * @param {Point[][]} hands normalized to 0..1
 * @param {object} options
 * @param {[number, number]} options.size of the picture in pixels
 * @param {string[]} options.colors one for each hand
 * @param {(context: CanvasRenderingContext2D, hand: Point[]) => void} [options.under] called before each skeleton
 */
export function drawHands(canvas, hands, { size: [width, height], colors, under }) {
  if (canvas.width !== width || canvas.height !== height) {
    canvas.width = width;
    canvas.height = height;
  }
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  const line = Math.max(2, Math.min(width, height) / 110);
  context.clearRect(0, 0, width, height);
  context.lineCap = context.lineJoin = "round";
  hands.forEach((hand, index) => {
    under?.(context, hand);
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
