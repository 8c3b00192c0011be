// Plays the camera, a video file or a MediaStream in a video element, and iterates over its frames.

import {
  cameraProblem,
  INSECURE,
  NO_PICTURE_YET,
  NO_VIDEO,
  Problem,
  pictureProblem,
  videoProblem,
  withTimeout,
} from "./problem.js";

const WIDTH = 640;
const HEIGHT = 480;
const FIRST_PICTURE_MS = 20_000;

/**
 * @typedef {object} Camera
 * @property {string} id of the device
 * @property {boolean} isMirrored whether to show it mirrored, as is usual for a front camera
 */

/**
 * @param {HTMLVideoElement} video plays the camera
 * @param {object} options
 * @param {string} options.id device ID, empty for the front camera
 * @param {AbortSignal} options.signal stops the camera, also while the permission prompt is open
 * @param {() => void} options.onEnd the camera was unplugged or its permission revoked
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
  await firstPicture(video, NO_PICTURE_YET, pictureProblem);
  // Browsers pause a video that is removed from the document
  video.addEventListener("pause", () => video.play().catch(() => {}), { signal });
  const { deviceId, facingMode } = track.getSettings();
  return { id: deviceId ?? "", isMirrored: facingMode !== "environment" };
}

/**
 * @param {HTMLVideoElement} video plays the media
 * @param {Blob | MediaStream} media a video file, or a stream whose tracks the caller stops
 * @param {AbortSignal} signal stops it
 * @throws {Problem}
 */
export async function openMedia(video, media, signal) {
  const address = addressOf(media);
  const stop = () => {
    video.srcObject = null;
    video.removeAttribute("src");
    video.load();
    URL.revokeObjectURL(address);
  };
  signal.addEventListener("abort", stop, { once: true });
  try {
    if (address) video.src = address;
    else video.srcObject = media;
  } catch {
    throw new Problem("video must be a <video>, a video file or blob, or a MediaStream.", "invalid_request");
  }
  await firstPicture(video, NO_VIDEO, videoProblem);
}

/**
 * @param {any} media
 * @returns {string} of a file or blob; empty for anything else. With instanceof, those of another window would not count
 */
function addressOf(media) {
  try {
    return URL.createObjectURL(media);
  } catch {
    return "";
  }
}

/**
 * @param {HTMLVideoElement} video
 * @param {string} late the sentence if there is none in time
 * @param {(error: unknown) => Problem} explain an error of play()
 */
async function firstPicture(video, late, explain) {
  try {
    await withTimeout(video.play(), FIRST_PICTURE_MS, late, "no_picture");
  } catch (error) {
    throw error instanceof Problem ? error : explain(error);
  }
}

/** @returns {Promise<{id: string, name: string}[]>} with names once the camera was allowed */
export async function listCameras() {
  // The list is optional: a running camera works without it
  const devices = await navigator.mediaDevices.enumerateDevices().catch(() => []);
  return devices
    .filter(({ kind }) => kind === "videoinput")
    .map(({ deviceId, label }, index) => ({ id: deviceId, name: label || `Camera ${index + 1}` }));
}

/**
 * Calls back with the newest frame of a video while the page is visible, never concurrently.
 *
 * @param {HTMLVideoElement} video
 * @param {object} options
 * @param {AbortSignal} options.signal stops it
 * @param {(time: number) => Promise<void>} options.onPicture receives the time in milliseconds
 * @param {(error: unknown) => void} options.onError receives what onPicture threw
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
