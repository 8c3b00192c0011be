// MediaPipe in a worker, so that the page is free for answers and drawing while a hand is looked for. A classic worker:
// MediaPipe loads its WebAssembly with importScripts, which modules have not.

console.warn = console.debug; // MediaPipe's log; what fails is thrown

/** @type {import("./landmarker.js").Landmarker} */
let landmarker;

/** @param {any} message */
async function answer({ base, code, mostHands, picture, time, isPhoto }) {
  if (picture) return landmarker.find(picture, time, isPhoto);
  if (!base) return landmarker.setMostHands(mostHands);
  const { loadLandmarker } = await import(code);
  landmarker = await loadLandmarker(base, mostHands);
}

// One message is answered before the next is sent
self.onmessage = async ({ data }) => {
  try {
    self.postMessage({ result: await answer(data) });
  } catch (error) {
    const { name, message } = /** @type {Error} */ (error);
    self.postMessage({ error: { name, message } });
  }
};
