// Finds hands in a photo.

import { Problem } from "./problem.js";

const MAX_SIDE = 1280; // pixels
const UNREADABLE = "This file is no picture that the browser can read: choose a JPEG, PNG or WebP.";

/**
 * @param {Blob} blob
 * @param {object} options
 * @param {HTMLCanvasElement} options.canvas the photo is drawn here
 * @param {() => Promise<import("./finder.js").Finder>} options.getFinder
 * @param {AbortSignal} options.signal aborts the search
 * @returns {Promise<{hands: import("./stream.js").Point[][], size: [number, number]}>}
 * @throws {Problem}
 */
export async function findHandsInPhoto(blob, { canvas, getFinder, signal }) {
  const photo = await createImageBitmap(blob).catch(() => {
    throw new Problem(UNREADABLE, "unreadable_photo");
  });
  signal.throwIfAborted();
  // A photo may exceed WebGL's largest texture
  const scale = Math.min(1, MAX_SIDE / Math.max(photo.width, photo.height));
  const scaled = (/** @type {number} */ pixels) => Math.max(1, Math.round(pixels * scale));
  const size = /** @type {[number, number]} */ ([scaled(photo.width), scaled(photo.height)]);
  [canvas.width, canvas.height] = size;
  canvas.getContext("2d")?.drawImage(photo, 0, 0, ...size);
  photo.close();
  const hands = await (await getFinder()).inPhoto(canvas);
  signal.throwIfAborted();
  return { hands, size };
}
