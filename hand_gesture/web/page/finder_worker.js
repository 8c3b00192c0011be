// MediaPipe, in a worker, so that the page is free for answers and drawing while a hand is looked for. A classic worker:
// MediaPipe loads its WebAssembly with importScripts, which modules have not.

/** @typedef {import("@mediapipe/tasks-vision").HandLandmarker} HandLandmarker */

// MediaPipe's log, all of it, comes as errors and warnings; what fails is thrown
console.error = console.warn = console.debug;

/** @type {HandLandmarker} */
let landmarker;
let isForPhotos = false;
let latest = 0;

/** @param {{base: string, mostHands: number}} options */
async function load({ base, mostHands }) {
  /** @type {typeof import("@mediapipe/tasks-vision")} */
  const { HandLandmarker } = await import(`${base}/vision_bundle.mjs`);
  landmarker = await HandLandmarker.createFromOptions(
    { wasmLoaderPath: `${base}/vision_wasm_internal.js`, wasmBinaryPath: `${base}/vision_wasm_internal.wasm` },
    { baseOptions: { modelAssetPath: `${base}/hand_landmarker.task` }, numHands: mostHands, runningMode: "VIDEO" },
  );
}

/** @param {{picture: ImageBitmap, time: number, isPhoto: boolean}} search */
async function find({ picture, time, isPhoto }) {
  if (isPhoto !== isForPhotos) {
    await landmarker.setOptions({ runningMode: isPhoto ? "IMAGE" : "VIDEO" });
    isForPhotos = isPhoto;
  }
  latest = Math.max(time, latest + 1); // MediaPipe stops for good at a time that does not grow
  const found = isPhoto ? landmarker.detect(picture) : landmarker.detectForVideo(picture, latest);
  picture.close();
  return found;
}

// One message is answered before the next is sent
self.onmessage = async ({ data }) => {
  try {
    self.postMessage({ found: await ("base" in data ? load(data) : find(data)) });
  } catch (error) {
    self.postMessage({ error: String(error) });
  }
};
