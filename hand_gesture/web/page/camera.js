// The camera: which there are, and its picture in a video element.

import { cameraProblem, INSECURE, Problem } from "./problem.js";

const WIDTH = 640;
const HEIGHT = 480;

/**
 * @typedef {object} Camera
 * @property {string} id of the device
 * @property {boolean} isMirrored shown as in a mirror, as people expect of a camera that faces them
 * @property {() => void} stop
 */

/**
 * @param {HTMLVideoElement} video shows the picture from then on
 * @param {string} id of the device, empty for the one that faces the person
 * @param {() => void} onEnd the camera was unplugged, or taken away by the person
 * @returns {Promise<Camera>}
 * @throws {Problem}
 */
export async function openCamera(video, id, onEnd) {
  if (!window.isSecureContext || !navigator.mediaDevices) throw new Problem(INSECURE);
  const which = id ? { deviceId: { exact: id } } : { facingMode: "user" };
  /** @type {MediaStream} */
  let media;
  try {
    media = await navigator.mediaDevices.getUserMedia({
      video: { ...which, width: { ideal: WIDTH }, height: { ideal: HEIGHT } },
    });
  } catch (error) {
    throw cameraProblem(error);
  }
  const [track] = media.getVideoTracks();
  track.onended = onEnd;
  video.srcObject = media;
  await video.play();
  const { deviceId, facingMode } = track.getSettings();
  return {
    id: deviceId ?? "",
    isMirrored: facingMode !== "environment",
    stop() {
      track.onended = null;
      track.stop();
      video.srcObject = null;
    },
  };
}

/** @returns {Promise<{id: string, name: string}[]>} the cameras of this device, once one of them was allowed */
export async function listCameras() {
  const devices = await navigator.mediaDevices.enumerateDevices();
  return devices
    .filter(({ kind }) => kind === "videoinput")
    .map(({ deviceId, label }, index) => ({ id: deviceId, name: label || `Camera ${index + 1}` }));
}

/**
 * Calls back for the newest picture of a video, one after the other, while the page can be seen.
 *
 * @param {HTMLVideoElement} video
 * @param {(time: number) => Promise<void>} onPicture with the time in milliseconds
 * @returns {() => void} ends it
 */
export function watch(video, onPicture) {
  let isBusy = false;
  let isNew = false;
  let handle = 0;
  const look = async () => {
    isNew = true;
    if (isBusy) return;
    isBusy = true;
    try {
      while (isNew && !document.hidden) {
        isNew = false;
        await onPicture(performance.now());
      }
    } finally {
      isBusy = false;
    }
  };
  const next = () => {
    handle = video.requestVideoFrameCallback(() => {
      next();
      look();
    });
  };
  next();
  return () => {
    isNew = false;
    video.cancelVideoFrameCallback(handle);
  };
}
