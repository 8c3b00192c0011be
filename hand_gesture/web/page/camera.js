// The camera, or a film in its place: its pictures in a video element, one after the other.

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
  if (!window.isSecureContext || !navigator.mediaDevices) throw new Problem(INSECURE, "insecure_page");
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
  await firstPicture(video);
  // Browsers pause a video that a page takes out of its document
  video.addEventListener("pause", () => video.play().catch(() => {}), { signal });
  const { deviceId, facingMode } = track.getSettings();
  return { id: deviceId ?? "", isMirrored: facingMode !== "environment" };
}

/**
 * @param {HTMLVideoElement} video shows the pictures from then on
 * @param {Blob | MediaStream} media a film, or a stream, whose tracks stay with whoever gave it
 * @param {AbortSignal} signal ends it
 * @throws {Problem}
 */
export async function openMedia(video, media, signal) {
  const address = media instanceof Blob ? URL.createObjectURL(media) : "";
  const stop = () => {
    video.srcObject = null;
    video.removeAttribute("src");
    video.load();
    URL.revokeObjectURL(address);
  };
  signal.addEventListener("abort", stop, { once: true });
  if (media instanceof Blob) video.src = address;
  else video.srcObject = media;
  await firstPicture(video);
}

/** @param {HTMLVideoElement} video */
async function firstPicture(video) {
  try {
    await within(video.play(), FIRST_PICTURE_MS, NO_PICTURE_YET, "no_picture");
  } catch (error) {
    throw error instanceof Problem ? error : pictureProblem(error);
  }
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
  let callback = 0;
  const next = () => {
    callback = video.requestVideoFrameCallback(() => {
      next();
      look();
    });
  };
  next();
  signal.addEventListener("abort", () => video.cancelVideoFrameCallback(callback), { once: true });
}
