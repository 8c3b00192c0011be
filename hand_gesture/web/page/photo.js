// Hands in a photo.

import { NO_PHOTO, Problem } from "./problem.js";

const LARGEST = 1280; // pixels of a side

/**
 * @param {Blob} blob
 * @param {object} options
 * @param {HTMLCanvasElement} options.canvas gets the photo
 * @param {() => Promise<import("./finder.js").Finder>} options.getFinder
 * @param {AbortSignal} options.signal ends it
 * @returns {Promise<{hands: import("./stream.js").Point[][], size: [number, number]}>}
 * @throws {Problem}
 */
export async function findInPhoto(blob, { canvas, getFinder, signal }) {
  const photo = await createImageBitmap(blob).catch(() => {
    throw new Problem(NO_PHOTO);
  });
  signal.throwIfAborted();
  // Before hands are looked for, as a photo may have more pixels than WebGL takes
  const scale = Math.min(1, LARGEST / Math.max(photo.width, photo.height));
  const scaled = (/** @type {number} */ pixels) => Math.max(1, Math.round(pixels * scale));
  const size = /** @type {[number, number]} */ ([scaled(photo.width), scaled(photo.height)]);
  [canvas.width, canvas.height] = size;
  canvas.getContext("2d")?.drawImage(photo, 0, 0, ...size);
  photo.close();
  const hands = await (await getFinder()).inPhoto(canvas);
  signal.throwIfAborted();
  return { hands, size };
}
