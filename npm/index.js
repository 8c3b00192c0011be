// Entry point of the npm package, for applications with a bundler (docs/game.md).
//
// startGestures and loadFinder are imported from the service at run time, because MediaPipe, its models and its worker
// are served there. openStream needs none of these and is bundled.

import { openStream as open } from "../hand_gesture/web/page/gestures.js";
import { serviceProblem, withTimeout } from "../hand_gesture/web/page/problem.js";

const LOADING_MS = 20_000; // timeout for a service's module

let failures = 0; // to load a service's module

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
 * @typedef {Omit<CameraOptions, "finder" | "service"> & {finder?: Exclude<CameraOptions["finder"], string>}} PackageOptions
 *
 * @typedef {object} Service
 * @property {string | URL} service URL of the service, such as `https://hands.example`, or relative to the page
 */

/**
 * Starts the camera, finds hands in its pictures and reports their gestures.
 *
 * @param {Callbacks & StreamSettings & CameraSettings & Service & PackageOptions} options
 * @returns {Promise<Gestures>} once the camera runs and MediaPipe is loaded
 * @throws {Problem} if it cannot start; `onProblem` is called, too
 */
export async function startGestures({ service, ...options }) {
  const { signal } = options;
  signal?.throwIfAborted();
  /** @type {Promise<never>} */
  const aborted = new Promise((_, reject) => signal?.addEventListener("abort", () => reject(signal.reason)));
  const module = await Promise.race([load(service), aborted]).catch((problem) => {
    signal?.throwIfAborted();
    options.onProblem?.(problem);
    throw problem;
  });
  return module.startGestures(options);
}

/**
 * Preloads MediaPipe, or loads it to find hands in photos.
 *
 * @param {CameraSettings & Service} options
 * @returns {ReturnType<typeof import("../hand_gesture/web/page/gestures.js").loadFinder>}
 * @throws {Problem} if the browser or the service does not support hand tracking
 */
export function loadFinder({ service, ...options }) {
  const loading = (async () => (await load(service)).loadFinder(options))();
  loading.catch(() => {}); // not unhandled: it may be awaited later, when a game starts
  return loading;
}

/**
 * Reports the gestures in MediaPipe's results, for pages that run MediaPipe themselves.
 *
 * @param {Callbacks & StreamSettings & Service} options
 * @returns {ResultStream} open one for each camera
 */
export function openStream({ service, ...options }) {
  return open({ ...options, service: baseOf(service) });
}

/**
 * @param {string | URL} service
 * @returns {Promise<typeof import("../hand_gesture/web/page/gestures.js")>}
 * @throws {Problem} if the service cannot be reached
 */
function load(service) {
  const address = new URL("v1/gestures.js", baseOf(service));
  if (failures) address.search = `${failures}`; // Firefox does not request a module again that failed to load
  const loading = import(/* @vite-ignore */ /* webpackIgnore: true */ address.href);
  return withTimeout(loading, LOADING_MS, "the service does not answer").catch((error) => {
    failures += 1;
    throw serviceProblem(error);
  });
}

/**
 * @param {string | URL} service
 * @returns {string} absolute, with a trailing slash, so that relative URLs append to it
 */
function baseOf(service) {
  if (!service)
    throw new TypeError('The option service is missing, the address of the service: "http://localhost:3000"');
  const address = new URL(`${service}`.replace(/\/*$/, "/"), document.baseURI);
  if (!address.protocol.startsWith("http"))
    throw new TypeError(`The option service must begin with http:// or https://, and is ${service}`);
  return address.href;
}
