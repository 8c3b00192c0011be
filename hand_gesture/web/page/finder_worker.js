// Runs MediaPipe in a worker, which keeps the main thread responsive. A classic worker, because MediaPipe loads its
// WebAssembly with importScripts, which module workers lack.

console.warn = console.debug; // MediaPipe logs there; failures are thrown

/** @type {import("./landmarker.js").Landmarker} */
let landmarker;

/** @param {any} message */
async function handle({ base, code, mostHands, picture, time, isPhoto }) {
  if (picture) return landmarker.find(picture, time, isPhoto);
  if (!base) return landmarker.setMostHands(mostHands);
  const { loadLandmarker } = await import(code);
  landmarker = await loadLandmarker(base, mostHands);
}

// finder.js waits for each answer before it sends the next message
self.onmessage = async ({ data }) => {
  try {
    self.postMessage({ result: await handle(data) });
  } catch (error) {
    const { name, message } = /** @type {Error} */ (error);
    self.postMessage({ error: { name, message } });
  }
};
