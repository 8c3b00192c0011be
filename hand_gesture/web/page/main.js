// The page: feeds hands from the camera, a photo or the reference hands to gestures.js, and shows the answers.

import { listCameras } from "./camera.js";
import { requireFinder } from "./finder.js";
import { loadFinder, openStream, startGestures } from "./gestures.js";
import { drawHandShape } from "./hand_drawing.js";
import { readKey, storeKey } from "./key.js";
import { rescaled, serialize } from "./own_gestures.js";
import { findHandsInPhoto } from "./photo.js";
import { loadReference, play } from "./playback.js";
import { Problem, problemOf } from "./problem.js";
import { RollingStats } from "./rolling_stats.js";
import { drawHands } from "./skeleton.js";
import { Slots } from "./slots.js";
import { snippets } from "./snippets.js";
import { startTeaching } from "./teach.js";
import * as view from "./view.js";

/**
 * @typedef {import("./stream.js").Point} Point
 * @typedef {import("./stream.js").Answer} Answer
 * @typedef {import("./finder.js").Finder} Finder
 * @typedef {import("./own_gestures.js").OwnGestures} OwnGestures
 * @typedef {import("./playback.js").Reference} Reference
 * @typedef {import("./view.js").Source} Source
 * @typedef {[number, number]} Size
 */

const NO_HAND = "No hand was found in this picture: try one where a whole hand can be seen.";
const NO_HANDS_TO_PLAY = "This model has no reference hands: use the camera or a photo.";
const KEY_NEEDED = "This server asks for a key: type it in below.";
const KEY_WRONG = "The server does not know this key: type in another one.";
const STATS_INTERVAL_MS = 500;
const PHOTO_INTERVAL_MS = 200; // resend a photo's hands, so that the gesture becomes held
const COPIED_SHOWN_MS = 1200;
const WELCOME_SIZE = /** @type {Size} */ ([640, 480]);

const video = view.element("video", HTMLVideoElement);
const photoCanvas = view.element("photo", HTMLCanvasElement);
const handsCanvas = view.element("hands", HTMLCanvasElement);
const hold = view.element("hold", HTMLInputElement);
const file = view.element("file", HTMLInputElement);
const keyForm = view.element("ask-key", HTMLFormElement);
const mostHands = view.element("most-hands", HTMLFieldSetElement);
const finderFolder = document.querySelector("meta[name=finder]")?.getAttribute("content") ?? "";
const predictUrl = new URL("predict", document.baseURI).href;

const stats = { find: new RollingStats(), answer: new RollingStats(), rate: new RollingStats() };
/** @type {Promise<Finder> | null} */
let loadingFinder = null;
/** @type {ReturnType<typeof loadReference> | null} */
let loadingReference = null;

/** @type {Source} */
let source = "welcome";
let size = WELCOME_SIZE;
/** @type {Point[][]} */
let hands = []; // of the newest frame
/** @type {OwnGestures} */
let ownGestures = new Map(); // taught on this page
/** @type {string[]} */
let modelGestures = [];
/** @type {{hand: Point[], size: Size} | null} */
let lastHand = null; // for the code snippets, with the size of its picture
let slots = new Slots();
/** @type {number[]} */
let slotsOfHands = [];
/** @type {import("./gestures.js").ResultStream | null} */
let stream = null; // for a photo or the reference hands; a camera has its own
/** @type {import("./gestures.js").Gestures | null} */
let camera = null;
/** @type {Awaited<ReturnType<typeof listCameras>>} */
let cameras = [];
let lastFrameAt = 0;
let wasAway = false;
// Aborted when another source starts
let activeSource = new AbortController();

function settings() {
  return { holdMs: hold.valueAsNumber, gestures: { gestures: serialize(ownGestures) }, key: readKey() ?? "" };
}

/** For both streams, the camera's and that of other hands. */
const callbacks = {
  onFrame: showAnswers,
  /** @param {import("./gestures.js").Change} change */
  onChange({ held, command }) {
    view.announce(held);
    if (command) view.showCommand(command);
  },
  /** @param {Problem} problem */
  onProblem({ message, code }) {
    if (code === "unauthorized") {
      askForKey();
      return;
    }
    if (code === "picture_stopped") clearPicture();
    view.showProblem(message);
  },
  /** @param {import("./gestures.js").State} state */
  onState(state) {
    view.showService(state);
    if (state !== "open") view.showAnswers([], []);
    if (state === "away") wasAway = true;
    if (state !== "open") return;
    if (wasAway || !loadingReference) reloadReference();
    if (wasAway) teaching.checkAgainIfPending();
    wasAway = false;
  },
};

/** Applies changed settings to the open streams. */
function configure() {
  stream?.configure(settings());
  camera?.configure(settings());
}

/** The camera has stopped sending pictures, and its stream is closed until the next. */
function clearPicture() {
  teaching.cancel();
  hands = [];
  draw();
  view.showAnswers([], []);
  view.showService("idle");
}

function disconnect() {
  stream?.close();
  stream = null;
  slots = new Slots();
  view.showService("idle");
  view.showAnswers([], []);
}

function askForKey() {
  view.showProblem(readKey() === null ? KEY_NEEDED : KEY_WRONG);
  storeKey(null);
  view.askForKey(true);
}

/**
 * @param {Answer[]} answers
 * @param {Point[][]} _ the hands that were sent, possibly older than those shown
 * @param {number} milliseconds
 */
function showAnswers(answers, _, milliseconds) {
  stats.answer.add(milliseconds);
  view.showProblem("");
  const shown = answers.slice(0, hands.length); // fewer hands may be in the newest frame
  slotsOfHands = slots.assign(shown);
  // MediaPipe may find a hand twice: both answers have the same slot, and the first is shown
  const places = [...shown.keys()].filter((place) => slotsOfHands.indexOf(slotsOfHands[place]) === place);
  view.showAnswers(
    places.map((place) => shown[place]),
    places.map((place) => slotsOfHands[place]),
  );
  draw();
}

/** @param {Point[][]} found hands of a new frame */
function showFrame(found) {
  hands = found;
  const now = performance.now();
  if (lastFrameAt) stats.rate.add(now - lastFrameAt);
  lastFrameAt = now;
  draw();
  if (hands.length) rememberHand(hands[0]);
  else view.showAnswers([], []);
}

/** @param {Point[][]} found hands of a photo or the reference hands */
function sendFrame(found) {
  showFrame(found);
  if (document.hidden) return;
  stream ??= openStream({ ...callbacks, ...settings() });
  stream.send(found, size);
}

function draw() {
  const colors = hands.map((_, index) => view.handColor(slotsOfHands[index] ?? index));
  /** @type {Parameters<typeof drawHands>[2]["under"]} */
  const under = source === "playback" ? (context, hand) => drawHandShape(context, hand, size) : undefined;
  drawHands(handsCanvas, hands, { size, colors, under });
}

/** @param {Point[]} hand */
function rememberHand(hand) {
  lastHand = { hand, size };
  view.element("what-to-copy", HTMLElement).textContent = "the last hand";
}

/**
 * @param {Size} newSize of its frames
 * @param {Source} newSource
 * @param {boolean} isMirrored
 */
function setStage(newSize, newSource, isMirrored) {
  size = newSize;
  source = newSource;
  view.showSource(source, size, isMirrored);
}

function stop() {
  activeSource.abort();
  activeSource = new AbortController();
  camera = null;
  disconnect();
  for (const each of Object.values(stats)) each.clear();
  hands = [];
  slotsOfHands = [];
  lastFrameAt = 0;
  setStage(WELCOME_SIZE, "welcome", false);
  draw();
  view.askForKey(false);
  view.showProblem("");
}

/**
 * Stops the current source and starts another. If that fails, the page shows the problem and returns to the welcome.
 *
 * @param {string} waiting label of the start button meanwhile
 * @param {(signal: AbortSignal) => Promise<void>} open
 */
async function switchSource(waiting, open) {
  stop();
  const { signal } = activeSource;
  view.showStarting(waiting);
  try {
    await open(signal);
  } catch (error) {
    fail(error, signal);
  }
}

/**
 * @param {unknown} error
 * @param {AbortSignal} signal of the source that failed; errors of an aborted one are ignored
 */
function fail(error, signal) {
  if (signal.aborted) return;
  stop();
  view.showProblem(problemOf(error).message);
}

/** @returns {Promise<Finder>} cached until it fails */
async function getFinder() {
  const loading = loadingFinder;
  const isClosed = await loading?.then((finder) => finder.isClosed()).catch(() => true);
  if (isClosed && loadingFinder === loading) loadingFinder = null; // unless another call has replaced it
  loadingFinder ??= loadFinder({ finder: finderFolder, hands: chosenHands() });
  return loadingFinder;
}

function getReference() {
  loadingReference ??= loadReference("reference_hands.json").then((reference) => {
    modelGestures = reference.gestures;
    view.showReference(reference, startPlayback);
    return reference;
  });
  const loading = loadingReference;
  loading.catch(() => {
    if (loadingReference === loading) loadingReference = null; // retry on the next call
  });
  return loading;
}

/** A restarted service may serve another model; if this fails, the page keeps the old one's description. */
function reloadReference() {
  loadingReference = null;
  getReference().catch(() => {});
}

/** @param {string} id device ID, empty for the front camera */
function startCamera(id) {
  return switchSource("Waiting for the camera …", async (signal) => {
    requireFinder(finderFolder);
    video.onplaying = () => view.showStarting("Loading the hand tracking …");
    const showStage = () => {
      setStage([video.videoWidth, video.videoHeight], "camera", camera?.camera?.isMirrored ?? false);
      view.showCameras(cameras, camera?.camera?.id ?? "");
    };
    const started = await startGestures({
      ...callbacks,
      ...settings(),
      video,
      camera: id,
      finder: getFinder(),
      signal,
      onHands(found, newSize, milliseconds) {
        // Rotating a phone changes the size of the picture
        if (String(size) !== String(newSize)) showStage();
        stats.find.add(milliseconds);
        showFrame(found);
        teaching.onHands(found, size);
      },
      onStop() {
        if (!signal.aborted) stop();
      },
    });
    video.onplaying = null;
    camera = started;
    configure(); // settings may have changed while it started
    showStage();
    cameras = await listCameras();
    if (!signal.aborted) view.showCameras(cameras, started.camera?.id ?? "");
  });
}

/** @param {string} first gesture to play */
function startPlayback(first) {
  return switchSource("Loading the reference hands …", async (signal) => {
    const reference = withOwnGestures(await getReference());
    signal.throwIfAborted();
    if (!Object.keys(reference.hands).length) throw new Problem(NO_HANDS_TO_PLAY);
    setStage(reference.image_size, "playback", false);
    play(reference, {
      first,
      signal,
      onFrame(found, gesture) {
        view.showCaption(
          `${ownGestures.has(gesture) ? "Your gesture" : "Reference hand"}: ${view.displayName(gesture)}`,
        );
        sendFrame(found);
      },
    });
  });
}

/**
 * @param {Reference} reference
 * @returns {Reference} including an example of each gesture taught on this page
 */
function withOwnGestures(reference) {
  const hands = Object.assign(Object.create(null), reference.hands);
  for (const [name, { examples }] of ownGestures) {
    hands[name] = rescaled(examples[0].hand, examples[0].size, reference.image_size);
  }
  return { ...reference, hands };
}

/**
 * Starts the camera unless it runs.
 *
 * @param {AbortSignal} signal cancels the start
 * @returns {Promise<AbortSignal | null>} aborted when the camera stops; null if it did not start
 */
async function useCamera(signal) {
  if (source !== "camera") {
    const starting = startCamera("");
    const mine = activeSource;
    signal.addEventListener("abort", () => {
      if (activeSource === mine && source !== "camera") stop();
    });
    await starting;
    if (activeSource !== mine) return null;
  }
  return activeSource.signal;
}

/** @param {Blob} blob */
function showPhoto(blob) {
  return switchSource("Looking for hands …", async (signal) => {
    const { hands: found, size: photoSize } = await findHandsInPhoto(blob, { canvas: photoCanvas, getFinder, signal });
    if (!found.length) throw new Problem(NO_HAND);
    setStage(photoSize, "photo", false);
    sendFrame(found);
    const timer = setInterval(() => sendFrame(found), PHOTO_INTERVAL_MS);
    signal.addEventListener("abort", () => clearInterval(timer), { once: true });
  });
}

function chosenHands() {
  return Number(mostHands.querySelector("input:checked")?.getAttribute("value"));
}

/** @param {HTMLButtonElement} button */
async function copy(button) {
  const language = /** @type {"curl" | "python" | "javascript"} */ (button.dataset.copy);
  button.dataset.label ??= button.textContent ?? "";
  try {
    const example = lastHand ?? (await exampleHand());
    if (!example) throw new Problem(NO_HANDS_TO_PLAY);
    const { hand, size } = example;
    await navigator.clipboard.writeText(snippets(predictUrl, hand, size, readKey() !== null)[language]);
    button.textContent = "Copied";
  } catch (error) {
    button.textContent = error instanceof Problem ? "No hand yet" : "Not allowed";
  }
  setTimeout(() => {
    button.textContent = button.dataset.label ?? "";
  }, COPIED_SHOWN_MS);
}

/** @returns {Promise<{hand: Point[], size: Size} | null>} a reference hand, null if the model has none */
async function exampleHand() {
  const { hands, image_size } = await getReference();
  const [hand] = Object.values(hands);
  return hand ? { hand, size: image_size } : null;
}

const teaching = startTeaching({
  useCamera,
  findHands: (photo, signal) =>
    findHandsInPhoto(photo, { canvas: document.createElement("canvas"), getFinder, signal }),
  known: () => modelGestures,
  key: readKey,
  onKeyRequired: askForKey,
  onAccepted(gestures) {
    ownGestures = gestures;
    view.showOwnGestures(ownGestures);
    configure();
  },
});

view.element("start", HTMLButtonElement).onclick = () => {
  if (!view.isStarting()) startCamera("");
};
view.element("stop", HTMLButtonElement).onclick = stop;
view.element("play", HTMLButtonElement).onclick = () => startPlayback("");
view.element("choose", HTMLButtonElement).onclick = () => file.click();
view.element("cameras", HTMLSelectElement).onchange = ({ target }) =>
  startCamera(/** @type {HTMLSelectElement} */ (target).value);
for (const button of document.querySelectorAll("button[data-copy]")) {
  button.addEventListener("click", () => copy(/** @type {HTMLButtonElement} */ (button)));
}
file.onchange = () => {
  if (file.files?.length) showPhoto(file.files[0]);
  file.value = ""; // or choosing the same file again fires no change event
};
document.ondragover = (event) => {
  event.preventDefault();
  view.showDropTarget(event.dataTransfer?.types.includes("Files") ?? false);
};
document.ondragleave = ({ relatedTarget }) => {
  if (!relatedTarget) view.showDropTarget(false);
};
document.ondrop = (event) => {
  event.preventDefault();
  view.showDropTarget(false);
  const files = [...(event.dataTransfer?.files ?? [])];
  if (files.length && teaching.isOpen()) teaching.addFiles(files);
  else if (files.length) showPhoto(files[0]);
};
hold.oninput = () => {
  view.element("hold-value", HTMLOutputElement).value = `${hold.value} ms`;
};
hold.onchange = configure;
mostHands.onchange = () => {
  // The next detection reports the failure
  loadingFinder?.then((finder) => finder.setMostHands(chosenHands())).catch(() => {});
};
keyForm.onsubmit = (event) => {
  event.preventDefault();
  storeKey(view.element("key", HTMLInputElement).value);
  view.askForKey(false);
  view.showProblem("");
  configure();
  teaching.checkAgainIfPending();
};
document.onvisibilitychange = () => {
  if (!document.hidden) return;
  teaching.cancel();
  disconnect();
};
setInterval(() => {
  view.showFrameRate(stats.rate.summary());
  view.showLatency("find", stats.find.summary());
  view.showLatency("answer", stats.answer.summary());
}, STATS_INTERVAL_MS);

getReference().catch(({ message }) => {
  if (!loadingReference) view.showProblem(message); // unless it was loaded again meanwhile
});
