// The camera: which there are, and its picture in a video element.

import { cameraProblem, INSECURE, NO_PICTURE_YET, Problem, pictureProblem, within } from "./problem.js";

const WIDTH = 640;
const HEIGHT = 480;
const FIRST_PICTURE_MS = 20_000;

/**
 * @typedef {object} Camera
 * @property {string} id of the device
 * @property {boolean} isMirrored shown as in a mirror, as people expect of a camera that faces them
 */

/**
 * @param {HTMLVideoElement} video shows the picture from then on
 * @param {object} options
 * @param {string} options.id of the device, empty for the one that faces the person
 * @param {AbortSignal} options.signal ends it, also while the person has not yet allowed the camera
 * @param {() => void} options.onEnd the camera was unplugged, or taken away by the person
 * @returns {Promise<Camera>}
 * @throws {Problem}
 */
export async function openCamera(video, { id, signal, onEnd }) {
  if (!window.isSecureContext || !navigator.mediaDevices) throw new Problem(INSECURE);
  const which = id ? { deviceId: { exact: id } } : { facingMode: "user" };
  /** @type {MediaStream} */
  let media;
  try {
    media = await navigator.mediaDevices.getUserMedia({
      video: { ...which, width: { ideal: WIDTH }, height: { ideal: HEIGHT } },
    });
  } catch (error) {
    throw cameraProblem(error, id);
  }
  const [track] = media.getVideoTracks();
  const stop = () => {
    track.onended = null;
    for (const each of media.getTracks()) each.stop();
    if (video.srcObject === media) video.srcObject = null;
  };
  if (signal.aborted) stop();
  signal.throwIfAborted();
  signal.addEventListener("abort", stop, { once: true });
  track.onended = onEnd;
  video.srcObject = media;
  try {
    await within(video.play(), FIRST_PICTURE_MS, NO_PICTURE_YET);
  } catch (error) {
    throw error instanceof Problem ? error : pictureProblem(error);
  }
  const { deviceId, facingMode } = track.getSettings();
  return { id: deviceId ?? "", isMirrored: facingMode !== "environment" };
}

/** @returns {Promise<{id: string, name: string}[]>} the cameras of this device, once one of them was allowed */
export async function listCameras() {
  // A camera that runs goes on without the list
  const devices = await navigator.mediaDevices.enumerateDevices().catch(() => []);
  return devices
    .filter(({ kind }) => kind === "videoinput")
    .map(({ deviceId, label }, index) => ({ id: deviceId, name: label || `Camera ${index + 1}` }));
}

/**
 * Calls back for the newest picture of a video, one after the other, while the page can be seen.
 *
 * @param {HTMLVideoElement} video
 * @param {object} options
 * @param {AbortSignal} options.signal ends it
 * @param {(time: number) => Promise<void>} options.onPicture with the time in milliseconds
 * @param {(error: unknown) => void} options.onError what onPicture was rejected with
 */
export function watch(video, { signal, onPicture, onError }) {
  let isBusy = false;
  let isNew = false;
  const look = async () => {
    isNew = true;
    if (isBusy) return;
    isBusy = true;
    try {
      while (isNew && !document.hidden && !signal.aborted) {
        isNew = false;
        await onPicture(performance.now());
      }
    } catch (error) {
      onError(error);
    } finally {
      isBusy = false;
    }
  };
  const next = () =>
    video.requestVideoFrameCallback(() => {
      if (signal.aborted) return;
      next();
      look();
    });
  next();
}
