// The public module for games, served as GET /gestures.js and usable from any origin:
//
//   import { startGestures } from "http://localhost:3000/gestures.js";
//   await startGestures({ onChange: ({ held, command }) => command && move(command) });
//
// docs/game.md lists every option. These exports are stable; the modules that this one imports are internal.

import { openCamera, openMedia, watch } from "./camera.js";
import { loadFinder as load, requireFinder } from "./finder.js";
import { CAMERA_GONE, GESTURES_UNREADABLE, PICTURE_STOPPED, Problem, problemOf, REFUSED } from "./problem.js";
import { drawHands } from "./skeleton.js";
import { Slots } from "./slots.js";
import { openStream as connect, guarded } from "./stream.js";

const HOLD_MS = 150;
const MOST_HANDS = 2;
const IDLE_MS = 5_000; // without a new picture: the camera is switched off, or the video paused or over
const BUSY_MS = 1_000; // by which a timer is late if the page was busy
const LOADING_MS = 20_000; // timeout for a file of gestures
const RETRY_MS = 5_000; // to load it again
const COLORS = ["#5eead4", "#fbbf24"];

/**
 * @typedef {import("./stream.js").Point} Point x and y normalized to 0..1, z as MediaPipe gives it
 * @typedef {import("./stream.js").Answer} Answer
 * @typedef {import("./stream.js").Change} Change
 * @typedef {import("./stream.js").State} State
 * @typedef {import("./camera.js").Camera} Camera
 * @typedef {import("./finder.js").Finder} Finder
 * @typedef {[number, number]} Size width and height in pixels
 *
 * @typedef {object} OwnGesture
 * @property {unknown[]} hands 1 to 64 examples
 * @property {Size} [image_size] of the examples' pictures
 * @property {string} [command]
 * @typedef {Record<string, OwnGesture>} OwnGestures by name
 *
 * @typedef {object} StreamSettings
 * @property {number} [holdMs] how long a gesture must be shown until it is held, 150 milliseconds by default
 * @property {OwnGestures | {gestures: OwnGestures} | string | URL} [gestures] your own, as the service's page saves
 *   them, or the URL of such a file; `{}` removes them
 * @property {string} [key] one of the service's API_KEY, if it requires one
 *
 * @typedef {object} Callbacks
 * @property {(change: Change) => void} [onChange] a hand's held gesture changed; "none" when it is
 *   released or the hand leaves
 * @property {(answers: Answer[], hands: Point[][], milliseconds: number) => void} [onFrame] the answers
 *   of a frame, one for each hand, the hands, and the round-trip time
 * @property {(problem: Problem) => void} [onProblem] `message` is a sentence for the player, `code` is machine-readable.
 *   Each problem is reported once until the next answer.
 * @property {(state: State) => void} [onState] the connection to the service changed
 *
 * @typedef {object} CameraSettings
 * @property {number} [hands] most hands to find in a picture, 2 by default
 *
 * @typedef {object} FinderOptions
 * @property {string} [finder] URL of MediaPipe's files, relative to the service; the service sets it
 * @property {string} [service] address of the service; the one that this module comes from, unless given
 *
 * @typedef {object} CameraOptions
 * @property {string} [camera] its deviceId, the front camera by default
 * @property {HTMLVideoElement | Blob | MediaStream} [video] an element to show the camera in or, if it has a source, to
 *   read instead of the camera; or a video file or stream to read
 * @property {HTMLCanvasElement} [draw] canvas for the hands' skeletons, resized to the picture
 * @property {AbortSignal} [signal] stops everything, also during the start
 * @property {Finder | Promise<Finder> | string} [finder] from `loadFinder`; it is not closed on stop
 * @property {string} [service] address of the service; the one that this module comes from, unless given
 * @property {(hands: Point[][], size: Size, milliseconds: number) => void} [onHands] the hands of a picture, before the
 *   service answers, the picture's size, and the duration of the detection
 * @property {() => void} [onStop] called on `stop`, on `signal`, and before `onProblem` if a problem stops it
 *
 * @typedef {object} Gestures
 * @property {() => void} stop releases the camera and closes the connection
 * @property {HTMLVideoElement} video plays the camera
 * @property {Camera | null} camera null if `video` gave a source
 * @property {(settings: StreamSettings & CameraSettings) => Promise<void>} configure changes the given settings
 *
 * @typedef {object} ResultStream
 * @property {(results: Results, picture?: Picture) => void} send takes MediaPipe's results, also when there is no
 *   hand; the first call connects
 * @property {(settings: StreamSettings) => void} configure changes the given settings
 * @property {() => void} close
 *
 * @typedef {{landmarks: Point[][]}} TaskResults of `@mediapipe/tasks-vision`
 * @typedef {{multiHandLandmarks?: Point[][], image?: Picture}} LegacyResults of `@mediapipe/hands`
 * @typedef {TaskResults | LegacyResults | Point[][]} Results
 * @typedef {Size | {videoWidth: number, videoHeight: number} | {width: number, height: number}} Picture or its size
 */

/**
 * Preloads MediaPipe, or loads it to find hands in photos.
 *
 * @param {CameraSettings & FinderOptions} options
 * @returns {Promise<Finder>}
 * @throws {Problem} if the browser or the service does not support hand tracking
 */
export function loadFinder({ finder = "", hands = MOST_HANDS, service = origin() } = {}) {
  const loading = load(finder && new URL(finder, service).href, hands);
  loading.catch(() => {}); // not unhandled: it may be awaited later, when a game starts
  return loading;
}

/**
 * Starts the camera, finds hands in its pictures and reports their gestures.
 *
 * @param {Callbacks & StreamSettings & CameraSettings & CameraOptions} options
 * @returns {Promise<Gestures>} once the camera runs and MediaPipe is loaded
 * @throws {Problem} if it cannot start; `onProblem` is called, too
 */
export async function startGestures(options = {}) {
  const { onFrame, onProblem = ({ message }) => console.warn(message), draw, finder } = options;
  const ending = new AbortController();
  const { signal } = ending;
  const onHands = guarded(() => signal.aborted, options.onHands);
  const onStop = guarded(() => false, options.onStop);
  const slots = new Slots();
  /** @type {number[]} */
  let slotsOfHands = [];
  let settings = streamSettings(options);
  /** @type {ResultStream | null} */
  let stream = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let idle;

  /** @param {unknown} [reason] that a start is rejected with */
  function stop(reason = options.signal?.reason) {
    if (signal.aborted) return;
    ending.abort(reason);
    onStop(); // when everything is released, as it may start again
  }

  /** @param {unknown} error */
  function fail(error) {
    if (signal.aborted) return;
    const problem = problemOf(error);
    stop(problem);
    onProblem(problem);
  }

  // Also releases the held gestures; the next picture connects again
  const pause = () => {
    clearTimeout(idle);
    stream?.close();
    stream = null;
  };
  const resume = () =>
    openStream({
      ...options,
      ...settings,
      onProblem,
      onFrame(answers, hands, milliseconds) {
        slotsOfHands = slots.assign(answers);
        onFrame?.(answers, hands, milliseconds);
      },
    });

  /** @type {Promise<never>} */
  const aborted = new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
  aborted.catch(() => {}); // awaited only during the start
  options.signal?.addEventListener("abort", () => stop(), { signal });
  if (options.signal?.aborted) ending.abort(options.signal.reason);
  const clearDrawing = () => draw && drawHands(draw, [], { size: [draw.width, draw.height], colors: [] });
  signal.addEventListener("abort", () => {
    pause();
    clearDrawing();
  });
  try {
    signal.throwIfAborted();
    /** @type {Promise<Finder>} */
    let loading;
    if (finder && typeof finder !== "string") {
      loading = Promise.resolve(finder);
    } else {
      requireFinder(finder ?? ""); // fail before the camera's permission prompt
      loading = loadFinder({ ...options, finder });
      signal.addEventListener("abort", () => loading.then(({ close }) => close()).catch(() => {}));
    }
    loading.catch(() => {}); // awaited below; a problem of the camera comes first
    // The user may never answer the permission prompt
    const { video, camera } = await Promise.race([openVideo(options, signal, fail), aborted]);
    const { inVideo, setMostHands } = await Promise.race([loading, aborted]);
    signal.throwIfAborted();
    keepAwake(signal);
    const awaitPicture = () => {
      clearTimeout(idle);
      if (document.hidden) return;
      const due = performance.now() + IDLE_MS;
      idle = setTimeout(() => {
        if (performance.now() > due + BUSY_MS) {
          awaitPicture(); // a picture may have come meanwhile
          return;
        }
        pause();
        clearDrawing();
        if (camera && !signal.aborted) onProblem(new Problem(PICTURE_STOPPED, "picture_stopped"));
      }, IDLE_MS);
    };
    awaitPicture();
    document.addEventListener("visibilitychange", () => (document.hidden ? pause() : awaitPicture()), { signal });
    watch(video, {
      signal,
      async onPicture(time) {
        clearTimeout(idle); // the search itself may take long
        const hands = await inVideo(video, time);
        if (signal.aborted || document.hidden) return; // a hidden page must not reconnect
        awaitPicture();
        if (!video.videoWidth) return; // its source was removed or changed
        onHands(hands, sizeOf(video), performance.now() - time);
        if (signal.aborted) return; // by the callback
        stream ??= resume();
        stream.send(hands, video);
        if (draw) {
          const colors = hands.map((_, index) => COLORS[(slotsOfHands[index] ?? index) % COLORS.length]);
          drawHands(draw, hands, { size: sizeOf(video), colors });
        }
      },
      onError: fail,
    });
    return {
      stop: () => stop(),
      video,
      camera,
      async configure({ hands, ...others }) {
        const changed = streamSettings(others);
        settings = { ...settings, ...changed };
        if (Object.keys(changed).length) stream?.configure(changed); // which connects again
        if (hands !== undefined && !signal.aborted) {
          await setMostHands(hands).catch((error) => {
            if (!signal.aborted) throw error;
          });
        }
      },
    };
  } catch (error) {
    if (signal.aborted) throw signal.reason;
    stop();
    const problem = problemOf(error);
    options.onProblem?.(problem);
    throw problem;
  }
}

/**
 * Reports the gestures in MediaPipe's results, for pages that run MediaPipe themselves.
 *
 * @param {Callbacks & StreamSettings & {service?: string}} options
 * @returns {ResultStream} open one for each camera
 */
export function openStream(options = {}) {
  const { onChange, onFrame, onState, onProblem = ({ message }) => console.warn(message) } = options;
  const { service = origin() } = options;
  const address = new URL("stream", new URL(service, document.baseURI)).href.replace(/^http/, "ws");
  let settings = streamSettings(options);
  /** @type {Size | null} */
  let size = null;
  /** @type {ReturnType<typeof connect> | null} */
  let stream = null;
  let attempt = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let retry;
  let isClosed = false;
  const reported = new Set(); // codes reported since the last answer

  /**
   * @param {string} message
   * @param {string} code
   */
  function report(message, code) {
    if (reported.has(code)) return;
    reported.add(code); // first, because the callback may configure the stream, which clears it
    onProblem(new Problem(message, code));
  }

  function disconnect() {
    attempt += 1;
    clearTimeout(retry);
    const closing = stream;
    stream = null; // first, because a callback may open another
    closing?.close();
  }

  async function open() {
    const mine = attempt + 1;
    disconnect();
    if (isClosed) return;
    const { holdMs = HOLD_MS, key, gestures: given } = settings;
    try {
      // Without a file this does not wait, so that send() can send its hands
      const gestures = isAddress(given) ? await loadGestures(given) : (given?.gestures ?? given);
      const hasGestures = gestures && Object.keys(gestures).length;
      if (mine !== attempt || !size) return; // closed or opened again meanwhile, also by a callback
      stream = connect(address, {
        settings: { image_size: size, hold_ms: holdMs, ...(hasGestures && { gestures }), ...(key && { key }) },
        onAnswer(answers, milliseconds, hands) {
          reported.clear();
          onFrame?.(answers, hands, milliseconds);
        },
        onChange,
        onError: ({ error, reason }) => report(error, reason),
        onState(state, sentence) {
          if (state === "away") report(sentence, "service_away");
          if (state === "refused") {
            reported.delete("service_away"); // not the reason
            if (!reported.size) report(sentence || REFUSED, "refused");
          }
          if (mine === attempt) onState?.(state); // unless onProblem has closed it
        },
      });
    } catch (error) {
      const { message, code } = problemOf(error);
      if (mine !== attempt) return;
      retry = setTimeout(open, RETRY_MS); // first, because the callback may close the stream, or throw
      report(message, code);
    }
  }

  return {
    send(results, picture) {
      const newSize = sizeOf(picture ?? pictureOf(results));
      // Rotating a phone changes the size of the picture
      if (String(newSize) !== String(size)) {
        size = newSize;
        open();
      }
      stream?.send(handsOf(results));
    },
    configure(changed) {
      settings = { ...settings, ...streamSettings(changed) };
      reported.clear();
      if (size) open();
    },
    close() {
      isClosed = true;
      disconnect();
    },
  };
}

/**
 * A function, because import.meta.url is undefined in some bundles of the npm package, which does not call it.
 *
 * @returns {string} address of the service that this module comes from
 */
function origin() {
  return new URL(/* @vite-ignore */ /* webpackIgnore: true */ "../../", import.meta.url).href;
}

/**
 * @param {StreamSettings} options
 * @returns {StreamSettings} without undefined ones
 */
function streamSettings({ holdMs, gestures, key }) {
  return Object.fromEntries(Object.entries({ holdMs, gestures, key }).filter(([, value]) => value !== undefined));
}

/**
 * @param {StreamSettings["gestures"]} given
 * @returns {given is string | URL}
 */
function isAddress(given) {
  return typeof given === "string" || given instanceof URL;
}

/**
 * @param {string | URL} address of a file
 * @returns {Promise<object>} the gestures by name
 */
async function loadGestures(address) {
  try {
    const response = await fetch(new URL(address, document.baseURI), { signal: AbortSignal.timeout(LOADING_MS) });
    const { gestures } = await response.json();
    if (!gestures) throw new TypeError("no gestures");
    return gestures;
  } catch {
    throw new Problem(GESTURES_UNREADABLE, "gestures_unreadable");
  }
}

/**
 * @param {CameraOptions} options
 * @param {AbortSignal} signal
 * @param {(error: unknown) => void} fail
 * @returns {Promise<{video: HTMLVideoElement, camera: Camera | null}>}
 */
async function openVideo({ video: given, camera: id = "" }, signal, fail) {
  const isElement = isVideo(given);
  const video = isElement ? given : document.createElement("video");
  // The page plays it. currentSrc would be that of a source which was removed
  if (isElement && (video.srcObject || video.src || video.querySelector("source"))) return { video, camera: null };
  video.muted = video.playsInline = true;
  if (given && !isElement) {
    await openMedia(video, given, signal);
    return { video, camera: null };
  }
  const onEnd = () => fail(new Problem(CAMERA_GONE, "camera_gone"));
  return { video, camera: await openCamera(video, { id, signal, onEnd }) };
}

/**
 * @param {unknown} given
 * @returns {given is HTMLVideoElement} also for an element of another window, for which instanceof would be false
 */
function isVideo(given) {
  return Object.prototype.toString.call(given) === "[object HTMLVideoElement]";
}

/**
 * Holds a screen wake lock while the page is visible; browsers release it when the page is hidden.
 *
 * @param {AbortSignal} signal
 */
function keepAwake(signal) {
  /** @type {WakeLockSentinel | undefined} */
  let lock;
  const request = async () => {
    if (document.hidden) return;
    const requested = await navigator.wakeLock?.request("screen").catch(() => undefined);
    lock?.release(); // a request may overlap with an earlier one
    lock = requested;
    if (signal.aborted) lock?.release();
  };
  document.addEventListener("visibilitychange", request, { signal });
  signal.addEventListener("abort", () => lock?.release());
  request();
}

/**
 * @param {Results} results
 * @returns {Point[][]}
 */
function handsOf(results) {
  if (Array.isArray(results)) return results;
  if ("landmarks" in results) return results.landmarks;
  return results.multiHandLandmarks ?? []; // undefined if there is no hand
}

/**
 * @param {Results} results
 * @returns {Picture | undefined} legacy results include it
 */
function pictureOf(results) {
  return "image" in results ? results.image : undefined;
}

/**
 * @param {Picture | undefined} picture
 * @returns {Size}
 */
function sizeOf(picture) {
  if (!picture) throw new TypeError("send() needs the picture, or its [width, height], beside MediaPipe's results");
  if (Array.isArray(picture)) return picture;
  if ("videoWidth" in picture) return [picture.videoWidth, picture.videoHeight];
  return [picture.width, picture.height];
}
