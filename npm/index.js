// What `import … from "hand-gestures"` gives to applications with a bundler: docs/game.md.
//
// startGestures and loadFinder are loaded from the service, which has MediaPipe, its models and its worker at addresses that
// a bundler cannot know. openStream needs none of these and becomes part of the bundle.

import { openStream as open } from "../hand_gesture/web/page/gestures.js";
import { serviceProblem } from "../hand_gesture/web/page/problem.js";

/**
 * @typedef {import("../hand_gesture/web/page/gestures.js").Answer} Answer
 * @typedef {import("../hand_gesture/web/page/gestures.js").Callbacks} Callbacks
 * @typedef {import("../hand_gesture/web/page/gestures.js").CameraOptions} CameraOptions
 * @typedef {import("../hand_gesture/web/page/gestures.js").CameraSettings} CameraSettings
 * @typedef {import("../hand_gesture/web/page/gestures.js").Change} Change
 * @typedef {import("../hand_gesture/web/page/gestures.js").Gestures} Gestures
 * @typedef {import("../hand_gesture/web/page/gestures.js").OwnGestures} OwnGestures
 * @typedef {import("../hand_gesture/web/page/gestures.js").Point} Point
 * @typedef {import("../hand_gesture/web/page/gestures.js").ResultStream} ResultStream
 * @typedef {import("../hand_gesture/web/page/gestures.js").StreamSettings} StreamSettings
 * @typedef {import("../hand_gesture/web/page/problem.js").Problem} Problem
 *
 * @typedef {Omit<CameraOptions, "finder" | "service"> & {finder?: Exclude<CameraOptions["finder"], string>}} OptionsOfPackage
 *
 * @typedef {object} Service
 * @property {string | URL} service its address, such as `https://hands.example`; it may be relative to the page's
 */

/**
 * Finds hands in the camera's pictures, and tells what gestures they hold.
 *
 * @param {Callbacks & StreamSettings & CameraSettings & Service & OptionsOfPackage} options
 * @returns {Promise<Gestures>} once the camera runs and hands can be found in its pictures
 * @throws {Problem} it cannot start; `onProblem` has been called, too
 */
export async function startGestures({ service, ...options }) {
  const module = await load(service).catch((problem) => {
    options.signal?.throwIfAborted();
    options.onProblem?.(problem);
    throw problem;
  });
  return module.startGestures(options);
}

/**
 * Loads MediaPipe before it is needed, or to look for hands in photos.
 *
 * @param {CameraSettings & Service} options
 * @returns {ReturnType<typeof import("../hand_gesture/web/page/gestures.js").loadFinder>}
 * @throws {Problem} hands cannot be found in this browser, or not with this service
 */
export async function loadFinder({ service, ...options }) {
  const module = await load(service);
  return module.loadFinder(options);
}

/**
 * For pages that run MediaPipe themselves: takes its results, and tells what gestures the hands hold.
 *
 * @param {Callbacks & StreamSettings & Service} options
 * @returns {ResultStream} for one camera
 */
export function openStream({ service, ...options }) {
  return open({ ...options, service: baseOf(service) });
}

/**
 * @param {string | URL} service
 * @returns {Promise<typeof import("../hand_gesture/web/page/gestures.js")>}
 * @throws {Problem} it cannot be reached
 */
function load(service) {
  const address = new URL("v1/gestures.js", baseOf(service)).href;
  return import(/* @vite-ignore */ /* webpackIgnore: true */ address).catch((error) => {
    throw serviceProblem(error);
  });
}

/**
 * @param {string | URL} service
 * @returns {string} its address with a slash at the end, without which its last part would be replaced
 */
function baseOf(service) {
  if (!service)
    throw new TypeError('The option service is missing, the address of the service: "http://localhost:3000"');
  const address = new URL(`${service}`.replace(/\/*$/, "/"), document.baseURI);
  if (!address.protocol.startsWith("http"))
    throw new TypeError(`The option service must begin with http:// or https://, and is ${service}`);
  return address.href;
}
