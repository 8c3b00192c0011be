// MediaPipe's hand landmarker, for a worker or the main thread:
// https://ai.google.dev/edge/mediapipe/solutions/vision/hand_landmarker

export const NO_WEBGL_HERE = "NoWebGL";

/**
 * @typedef {object} Result
 * @property {import("./stream.js").Point[][]} landmarks
 * @property {{categoryName: string}[][]} handedness
 *
 * @typedef {object} Landmarker not reentrant: one call at a time
 * @property {(picture: ImageBitmap, time: number, isPhoto: boolean) => Promise<Result>} find closes the picture;
 *   time is in milliseconds
 * @property {(count: number) => Promise<void>} setMostHands most hands to find in a picture
 * @property {() => void} close
 */

/**
 * @param {string} base URL of the folder with MediaPipe's files
 * @param {number} mostHands most hands to find in a picture
 * @returns {Promise<Landmarker>}
 * @throws {Error} named NoWebGL if this thread has none: MediaPipe reads pictures through WebGL even when it
 *   computes on the CPU, and silently finds nothing without it
 */
export async function loadLandmarker(base, mostHands) {
  const canvas = canvasWithWebGL();
  let isLost = false;
  canvas.addEventListener("webglcontextlost", () => {
    isLost = true;
  });
  /** @type {typeof import("@mediapipe/tasks-vision")} */
  const { HandLandmarker } = await import(`${base}/vision_bundle.mjs`);
  // Emscripten reads its options from the global Module; without these, MediaPipe's log appears as console errors
  Object.assign(globalThis, { Module: { print: console.debug, printErr: console.debug } });
  const landmarker = await HandLandmarker.createFromOptions(
    { wasmLoaderPath: `${base}/vision_wasm_internal.js`, wasmBinaryPath: `${base}/vision_wasm_internal.wasm` },
    {
      baseOptions: { modelAssetPath: `${base}/hand_landmarker.task` },
      canvas,
      numHands: mostHands,
      runningMode: "VIDEO",
    },
  );
  let isForPhotos = false;
  let latest = 0;
  return {
    async find(picture, time, isPhoto) {
      try {
        if (isPhoto !== isForPhotos) {
          await landmarker.setOptions({ runningMode: isPhoto ? "IMAGE" : "VIDEO" });
          isForPhotos = isPhoto;
        }
        latest = Math.max(time, latest + 1); // MediaPipe fails permanently if a timestamp does not increase
        const found = isPhoto ? landmarker.detect(picture) : landmarker.detectForVideo(picture, latest);
        if (isLost) throw new Error("the WebGL context was lost");
        return found;
      } finally {
        picture.close();
      }
    },
    setMostHands: (count) => landmarker.setOptions({ numHands: count }),
    close: () => landmarker.close(),
  };
}

/** @returns {HTMLCanvasElement | OffscreenCanvas} without a context yet: MediaPipe creates it */
function canvasWithWebGL() {
  const make = () => (typeof document === "object" ? document.createElement("canvas") : new OffscreenCanvas(1, 1));
  const context = /** @type {WebGL2RenderingContext | null} */ (make().getContext("webgl2"));
  if (!context) throw Object.assign(new Error("this thread has no WebGL"), { name: NO_WEBGL_HERE });
  context.getExtension("WEBGL_lose_context")?.loseContext(); // browsers limit the number of contexts
  return make();
}
