// Connects gestures.js, the module of games, with what this page shows: hands of the camera, a photo or the reference hands.

import { listCameras } from "./camera.js";
import { Figures } from "./figures.js";
import { requireFinder } from "./finder.js";
import { loadFinder, openStream, startGestures } from "./gestures.js";
import { drawBody } from "./hand_picture.js";
import { keepKey, readKey } from "./key.js";
import { asFields, fitted } from "./own_gestures.js";
import { findInPhoto } from "./photo.js";
import { loadReference, play } from "./playback.js";
import { KEY_NEEDED, KEY_WRONG, NO_HAND, NO_HANDS_TO_PLAY, Problem, problemOf } from "./problem.js";
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

const FIGURES_EVERY_MS = 500;
const PHOTO_EVERY_MS = 200; // the same hands again, so that what holds is seen
const COPIED_SHOWN_MS = 1200;
const EMPTY_STAGE = /** @type {Size} */ ([640, 480]);

const video = view.element("video", HTMLVideoElement);
const photoCanvas = view.element("photo", HTMLCanvasElement);
const handsCanvas = view.element("hands", HTMLCanvasElement);
const hold = view.element("hold", HTMLInputElement);
const file = view.element("file", HTMLInputElement);
const keyForm = view.element("ask-key", HTMLFormElement);
const mostHands = view.element("most-hands", HTMLFieldSetElement);
const finderFolder = document.querySelector("meta[name=finder]")?.getAttribute("content") ?? "";
const predictUrl = new URL("predict", document.baseURI).href;

const figures = { find: new Figures(), answer: new Figures(), rate: new Figures() };
/** @type {Promise<Finder> | null} */
let loadingFinder = null;
/** @type {ReturnType<typeof loadReference> | null} */
let loadingReference = null;

/** @type {Source} */
let source = "welcome";
let size = EMPTY_STAGE;
/** @type {Point[][]} */
let hands = []; // those of the newest frame
/** @type {OwnGestures} */
let own = new Map(); // gestures that were taught on this page
/** @type {string[]} */
let known = []; // gestures of the model
/** @type {{hand: Point[], size: Size} | null} */
let last = null; // the last hand, and of which picture it was
let slots = new Slots();
/** @type {number[]} */
let slotsOfHands = [];
/** @type {import("./gestures.js").ResultStream | null} */
let stream = null; // of a photo or the reference hands
/** @type {import("./gestures.js").Gestures | null} */
let camera = null;
let frameAt = 0;
let wasAway = false;
// Of what the person began last; whatever begins anew ends it
let current = new AbortController();

function settings() {
  return { holdMs: hold.valueAsNumber, gestures: { gestures: asFields(own) }, key: readKey() ?? "" };
}

/** What a stream tells, that of the camera or of other hands. */
const callbacks = {
  onFrame: showAnswers,
  /** @param {import("./gestures.js").Change} change */
  onChange({ held, command }) {
    view.say(held);
    if (command) view.fireCommand(command);
  },
  /** @param {Problem} problem */
  onProblem({ message, code }) {
    if (code === "unauthorized") askForKey();
    else view.showProblem(message);
  },
  /** @param {import("./gestures.js").State} state */
  onState(state) {
    view.showService(state);
    if (state !== "open") view.showAnswers([], []);
    if (state === "away") wasAway = true;
    if (state !== "open") return;
    if (wasAway) {
      showServedModel();
      teaching.askAgain();
    }
    wasAway = false;
  },
};

/** Brings the streams up to date with what the person has set. */
function configure() {
  stream?.configure(settings());
  camera?.configure(settings());
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
  keepKey(null);
  view.askForKey(true);
}

/**
 * @param {Answer[]} answers
 * @param {Point[][]} _ the hands that were sent; newer ones may be shown
 * @param {number} milliseconds
 */
function showAnswers(answers, _, milliseconds) {
  figures.answer.add(milliseconds);
  view.showProblem("");
  const shown = answers.slice(0, hands.length); // hands may have left since this frame was sent
  slotsOfHands = slots.assign(shown);
  // A hand that was found twice is shown once, by its first answer
  const places = [...shown.keys()].filter((place) => slotsOfHands.indexOf(slotsOfHands[place]) === place);
  view.showAnswers(
    places.map((place) => shown[place]),
    places.map((place) => slotsOfHands[place]),
  );
  draw();
}

/** @param {Point[][]} found the hands of a new frame */
function showFrame(found) {
  hands = found;
  const now = performance.now();
  if (frameAt) figures.rate.add(now - frameAt);
  frameAt = now;
  draw();
  if (hands.length) rememberHand(hands[0]);
  else view.showAnswers([], []);
}

/** @param {Point[][]} found the hands of a frame that is not the camera's */
function sendFrame(found) {
  showFrame(found);
  if (document.hidden) return;
  stream ??= openStream({ ...callbacks, ...settings() });
  stream.send(found, size);
}

function draw() {
  const colors = hands.map((_, index) => view.handColor(slotsOfHands[index] ?? index));
  /** @type {Parameters<typeof drawHands>[2]["under"]} */
  const under = source === "playback" ? (context, hand) => drawBody(context, hand, size) : undefined;
  drawHands(handsCanvas, hands, { size, colors, under });
}

/** @param {Point[]} hand */
function rememberHand(hand) {
  last = { hand, size };
  view.element("what-to-copy", HTMLElement).textContent = "the last hand";
}

/**
 * @param {Size} newSize of the frames to come
 * @param {Source} newSource
 * @param {boolean} isMirrored
 */
function setStage(newSize, newSource, isMirrored) {
  size = newSize;
  source = newSource;
  view.showSource(source, size, isMirrored);
}

function stop() {
  current.abort();
  current = new AbortController();
  camera = null;
  disconnect();
  for (const each of Object.values(figures)) each.clear();
  hands = [];
  slotsOfHands = [];
  frameAt = 0;
  setStage(EMPTY_STAGE, "welcome", false);
  draw();
  view.askForKey(false);
  view.showProblem("");
}

/**
 * Begins with another source; what goes wrong on the way is said, and the page is as before.
 *
 * @param {string} waiting for what, as the person sees it until the source is there
 * @param {(signal: AbortSignal) => Promise<void>} open
 */
async function begin(waiting, open) {
  stop();
  const { signal } = current;
  view.showStarting(waiting);
  try {
    await open(signal);
  } catch (error) {
    fail(error, signal);
  }
}

/**
 * @param {unknown} error
 * @param {AbortSignal} signal of what failed; whether it still is what is wanted
 */
function fail(error, signal) {
  if (signal.aborted) return;
  stop();
  view.showProblem(problemOf(error).message);
}

/** @returns {Promise<Finder>} the one there is, unless it has failed */
async function getFinder() {
  if (await loadingFinder?.then((finder) => finder.isClosed()).catch(() => true)) loadingFinder = null;
  loadingFinder ??= loadFinder({ finder: finderFolder, hands: chosenHands() });
  return loadingFinder;
}

function getReference() {
  loadingReference ??= loadReference("reference_hands.json").then((reference) => {
    known = reference.gestures;
    view.showReference(reference, startPlayback);
    return reference;
  });
  loadingReference.catch(() => {
    loadingReference = null; // the next press tries again
  });
  return loadingReference;
}

/** A service that was restarted may serve another model. Where that cannot be asked the page goes on with what it knows. */
function showServedModel() {
  loadingReference = null;
  getReference().catch(() => {});
}

/** @param {string} id of the camera, empty for the one that faces the person */
function startCamera(id) {
  return begin("Waiting for the camera …", async (signal) => {
    requireFinder(finderFolder);
    video.onplaying = () => view.showStarting("Loading the hand tracking …");
    /** @type {Awaited<ReturnType<typeof listCameras>>} */
    let cameras = [];
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
        // A phone that is turned gives pictures of another size
        if (String(size) !== String(newSize)) showStage();
        figures.find.add(milliseconds);
        showFrame(found);
        teaching.see(found, size);
      },
      onStop() {
        if (!signal.aborted) stop();
      },
    });
    video.onplaying = null;
    camera = started;
    configure(); // what was changed meanwhile
    showStage();
    cameras = await listCameras();
    if (!signal.aborted) view.showCameras(cameras, started.camera?.id ?? "");
  });
}

/** @param {string} first gesture to play */
function startPlayback(first) {
  return begin("Loading the reference hands …", async (signal) => {
    const reference = withOwn(await getReference());
    signal.throwIfAborted();
    if (!Object.keys(reference.hands).length) throw new Problem(NO_HANDS_TO_PLAY);
    setStage(reference.image_size, "playback", false);
    play(reference, {
      first,
      signal,
      onFrame(found, gesture) {
        view.showCaption(`${own.has(gesture) ? "Your gesture" : "Reference hand"}: ${view.spaced(gesture)}`);
        sendFrame(found);
      },
    });
  });
}

/**
 * @param {Reference} reference
 * @returns {Reference} with an example of each of the person's own gestures
 */
function withOwn(reference) {
  const hands = Object.assign(Object.create(null), reference.hands);
  for (const [name, { examples }] of own) {
    hands[name] = fitted(examples[0].hand, examples[0].size, reference.image_size);
  }
  return { ...reference, hands };
}

/**
 * @param {AbortSignal} signal ends the wait for a camera that does not run yet
 * @returns {Promise<AbortSignal | null>} ends with the camera; null where it did not start
 */
async function useCamera(signal) {
  if (source !== "camera") {
    const starting = startCamera("");
    const mine = current;
    signal.addEventListener("abort", () => {
      if (current === mine && source !== "camera") stop();
    });
    await starting;
    if (current !== mine) return null;
  }
  return current.signal;
}

/** @param {Blob} blob */
function showPhoto(blob) {
  return begin("Looking for hands …", async (signal) => {
    const { hands: found, size: photoSize } = await findInPhoto(blob, { canvas: photoCanvas, getFinder, signal });
    if (!found.length) throw new Problem(NO_HAND);
    setStage(photoSize, "photo", false);
    sendFrame(found);
    const timer = setInterval(() => sendFrame(found), PHOTO_EVERY_MS);
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
    const example = last ?? (await exampleHand());
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

/** @returns {Promise<{hand: Point[], size: Size} | null>} one to copy before there was another, if one is known */
async function exampleHand() {
  const { hands, image_size } = await getReference();
  const [hand] = Object.values(hands);
  return hand ? { hand, size: image_size } : null;
}

const teaching = startTeaching({
  useCamera,
  findHands: (photo, signal) => findInPhoto(photo, { canvas: document.createElement("canvas"), getFinder, signal }),
  known: () => known,
  key: readKey,
  onKeyNeeded: askForKey,
  onTaught(gestures) {
    own = gestures;
    view.showOwn(own);
    configure();
  },
});

view.element("start", HTMLButtonElement).onclick = () => startCamera("");
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
  file.value = ""; // the same one may be chosen again
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
  if (files.length && teaching.isOpen()) teaching.take(files);
  else if (files.length) showPhoto(files[0]);
};
hold.oninput = () => {
  view.element("hold-value", HTMLOutputElement).value = `${hold.value} ms`;
};
hold.onchange = configure;
mostHands.onchange = () => {
  // What fails here is said by the next search
  loadingFinder?.then((finder) => finder.setMostHands(chosenHands())).catch(() => {});
};
keyForm.onsubmit = (event) => {
  event.preventDefault();
  keepKey(view.element("key", HTMLInputElement).value);
  view.askForKey(false);
  view.showProblem("");
  configure();
  teaching.askAgain();
};
document.onvisibilitychange = () => {
  if (!document.hidden) return;
  teaching.cancel();
  disconnect();
};
setInterval(() => {
  view.showRate(figures.rate.summary());
  view.showTimes("find", figures.find.summary());
  view.showTimes("answer", figures.answer.summary());
}, FIGURES_EVERY_MS);

getReference().catch(({ message }) => view.showProblem(message));
