// The way of a frame on this page: camera, photo or reference hands -> finder -> stream -> view.

import { listCameras, openCamera, watch } from "./camera.js";
import { Figures } from "./figures.js";
import { loadFinder, requireFinder } from "./finder.js";
import { drawBody } from "./hand_picture.js";
import { keepKey, readKey } from "./key.js";
import { asFields, fitted } from "./own_gestures.js";
import { loadReference, play } from "./playback.js";
import {
  CAMERA_GONE,
  KEY_NEEDED,
  KEY_WRONG,
  NO_HAND,
  NO_HANDS_TO_PLAY,
  NO_PHOTO,
  Problem,
  problemOf,
  REFUSED,
} from "./problem.js";
import { drawHands } from "./skeleton.js";
import { Slots } from "./slots.js";
import { snippets } from "./snippets.js";
import { openStream } from "./stream.js";
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
const LARGEST_PHOTO = 1280;
const EMPTY_STAGE = /** @type {Size} */ ([640, 480]);

const video = view.element("video", HTMLVideoElement);
const photoCanvas = view.element("photo", HTMLCanvasElement);
const handsCanvas = view.element("hands", HTMLCanvasElement);
const hold = view.element("hold", HTMLInputElement);
const file = view.element("file", HTMLInputElement);
const keyForm = view.element("ask-key", HTMLFormElement);
const mostHands = view.element("most-hands", HTMLFieldSetElement);
const finderPath = document.querySelector("meta[name=finder]")?.getAttribute("content");
const finderFolder = finderPath ? new URL(finderPath, document.baseURI).href : "";
const streamUrl = new URL("stream", document.baseURI.replace(/^http/, "ws")).href;
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
/** @type {ReturnType<typeof openStream> | null} */
let stream = null;
let frameAt = 0;
let wasAway = false;
// Of what the person began last; whatever begins anew ends it
let current = new AbortController();

function settings() {
  const key = readKey();
  const gestures = own.size ? asFields(own) : null;
  return { image_size: size, hold_ms: hold.valueAsNumber, ...(key && { key }), ...(gestures && { gestures }) };
}

function connect() {
  stream ??= openStream(streamUrl, {
    settings: settings(),
    onAnswer: showAnswers,
    onChange({ held, command }) {
      view.say(held);
      if (command) view.fireCommand(command);
    },
    onError({ error, reason }) {
      if (reason === "unauthorized") askForKey();
      else view.showProblem(error);
    },
    onState(state, sentence) {
      if (state !== "open") view.showAnswers([], []);
      view.showService(state);
      if (state === "away") {
        view.showProblem(sentence);
        wasAway = true;
      }
      if (state === "open") {
        view.showProblem("");
        if (wasAway) {
          showServedModel();
          teaching.askAgain();
        }
        wasAway = false;
      }
      if (state === "refused" && !view.isProblemShown()) view.showProblem(sentence || REFUSED);
    },
  });
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
 * @param {number} milliseconds
 */
function showAnswers(answers, milliseconds) {
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
  stream?.send(hands);
  if (source === "camera") teaching.see(hands, size);
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
  stream?.configure(settings());
}

function stop() {
  current.abort();
  current = new AbortController();
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
  loadingFinder ??= loadFinder(finderFolder, chosenHands());
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
    const gettingFinder = getFinder();
    gettingFinder.catch(() => {}); // said below, after the camera's own problems
    const camera = await openCamera(video, {
      id,
      signal,
      onEnd: () => fail(new Problem(CAMERA_GONE, "camera_gone"), signal),
    });
    view.showStarting("Loading the hand tracking …");
    const finder = await gettingFinder;
    const cameras = await listCameras();
    signal.throwIfAborted();
    const videoSize = () => /** @type {Size} */ ([video.videoWidth, video.videoHeight]);
    setStage(videoSize(), "camera", camera.isMirrored);
    view.showCameras(cameras, camera.id);
    connect();
    watch(video, {
      signal,
      async onPicture(time) {
        // A phone that is turned gives pictures of another size
        if (String(size) !== String(videoSize())) {
          setStage(videoSize(), "camera", camera.isMirrored);
          view.showCameras(cameras, camera.id);
        }
        const found = await finder.inVideo(video, time);
        if (signal.aborted) return;
        figures.find.add(performance.now() - time);
        showFrame(found);
      },
      onError: (error) => fail(error, signal),
    });
  });
}

/** @param {string} first gesture to play */
function startPlayback(first) {
  return begin("Loading the reference hands …", async (signal) => {
    const reference = withOwn(await getReference());
    signal.throwIfAborted();
    if (!Object.keys(reference.hands).length) throw new Problem(NO_HANDS_TO_PLAY);
    setStage(reference.image_size, "playback", false);
    connect();
    play(reference, {
      first,
      signal,
      onFrame(found, gesture) {
        view.showCaption(`Reference hand: ${view.spaced(gesture)}`);
        showFrame(found);
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

/**
 * @param {Blob} blob
 * @param {HTMLCanvasElement} canvas gets the photo
 * @param {AbortSignal} signal ends it
 * @returns {Promise<{hands: Point[][], size: Size}>}
 * @throws {Problem}
 */
async function findInPhoto(blob, canvas, signal) {
  const photo = await createImageBitmap(blob).catch(() => {
    throw new Problem(NO_PHOTO);
  });
  signal.throwIfAborted();
  // Before hands are looked for, as a photo may have more pixels than WebGL takes
  const scale = Math.min(1, LARGEST_PHOTO / Math.max(photo.width, photo.height));
  const scaled = (/** @type {number} */ pixels) => Math.max(1, Math.round(pixels * scale));
  const photoSize = /** @type {Size} */ ([scaled(photo.width), scaled(photo.height)]);
  [canvas.width, canvas.height] = photoSize;
  canvas.getContext("2d")?.drawImage(photo, 0, 0, ...photoSize);
  photo.close();
  const found = await (await getFinder()).inPhoto(canvas);
  signal.throwIfAborted();
  return { hands: found, size: photoSize };
}

/** @param {Blob} blob */
function showPhoto(blob) {
  return begin("Looking for hands …", async (signal) => {
    const { hands: found, size: photoSize } = await findInPhoto(blob, photoCanvas, signal);
    if (!found.length) throw new Problem(NO_HAND);
    setStage(photoSize, "photo", false);
    connect();
    const timer = setInterval(() => showFrame(found), PHOTO_EVERY_MS);
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
  findHands: (photo, signal) => findInPhoto(photo, document.createElement("canvas"), signal),
  known: () => known,
  key: readKey,
  onKeyNeeded: askForKey,
  onTaught(gestures) {
    own = gestures;
    view.showOwn(own);
    stream?.configure(settings());
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
hold.onchange = () => stream?.configure(settings());
mostHands.onchange = () => {
  // What fails here is said by the next search
  loadingFinder?.then((finder) => finder.setMostHands(chosenHands())).catch(() => {});
};
keyForm.onsubmit = (event) => {
  event.preventDefault();
  keepKey(view.element("key", HTMLInputElement).value);
  view.askForKey(false);
  view.showProblem("");
  stream?.configure(settings());
  teaching.askAgain();
};
document.onvisibilitychange = () => {
  if (document.hidden) {
    teaching.cancel();
    disconnect();
  } else if (source !== "welcome") {
    connect();
  }
};
setInterval(() => {
  view.showRate(figures.rate.summary());
  view.showTimes("find", figures.find.summary());
  view.showTimes("answer", figures.answer.summary());
}, FIGURES_EVERY_MS);

getReference().catch(({ message }) => view.showProblem(message));
