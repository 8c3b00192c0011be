// The page's way of a frame: camera, photo or reference hands -> finder -> stream -> view.

import { listCameras, openCamera, watch } from "./camera.js";
import { Figures } from "./figures.js";
import { loadFinder, requireFinder } from "./finder.js";
import { loadReference, play } from "./playback.js";
import { CAMERA_GONE, KEY_NEEDED, KEY_WRONG, NO_HAND, NO_PICTURE, Problem } from "./problem.js";
import { drawHands } from "./skeleton.js";
import { snippets } from "./snippets.js";
import { openStream } from "./stream.js";
import * as view from "./view.js";

/**
 * @typedef {import("./stream.js").Point} Point
 * @typedef {import("./stream.js").Answer} Answer
 * @typedef {[number, number]} Size
 */

const KEY = "hand-gestures-key";
const FIGURES_EVERY_MS = 500;
const PHOTO_EVERY_MS = 200; // the same hands again, so that what holds is seen
const LARGEST_PHOTO = 1280;
const EMPTY_STAGE = /** @type {Size} */ ([640, 480]);

const video = view.element("video", HTMLVideoElement);
const photoCanvas = view.element("photo", HTMLCanvasElement);
const handsCanvas = view.element("hands", HTMLCanvasElement);
const hold = view.element("hold", HTMLInputElement);
const file = view.element("file", HTMLInputElement);
const keyForm = view.element("ask-key", HTMLFormElement);
const finderFolder = document.querySelector("meta[name=finder]")?.getAttribute("content") ?? "";
const streamUrl = new URL("stream", document.baseURI.replace(/^http/, "ws")).href;
const predictUrl = new URL("predict", document.baseURI).href;

const figures = { find: new Figures(), answer: new Figures(), rate: new Figures() };
const loading = {
  /** @type {ReturnType<typeof loadFinder> | null} */
  finder: null,
  reference: loadReference("reference_hands.json"),
};

let size = EMPTY_STAGE;
/** @type {Point[][]} */
let hands = []; // those of the newest frame
/** @type {{hand: Point[], size: Size} | null} */
let last = null; // the last hand, and of which picture it was
/** @type {ReturnType<typeof openStream> | null} */
let stream = null;
let stopSource = () => {};
let isRunning = false; // a source gives frames
let frameAt = 0;
let turn = 0; // of the person: what was begun before is no longer wanted

function settings() {
  const key = sessionStorage.getItem(KEY);
  return { image_size: size, hold_ms: hold.valueAsNumber, ...(key && { key }) };
}

function connect() {
  stream ??= openStream(streamUrl, {
    settings: settings(),
    onAnswer: showAnswers,
    onError({ error, reason }) {
      if (reason === "unauthorized") askForKey();
      else view.showProblem(error);
    },
    onState(state, sentence) {
      if (state !== "open") view.showAnswers([]);
      view.showService(state);
      if (state === "away") view.showProblem(sentence);
      if (state === "open") view.showProblem("");
    },
  });
}

function disconnect() {
  stream?.close();
  stream = null;
  view.showService("idle");
  view.showAnswers([]);
}

function askForKey() {
  view.showProblem(sessionStorage.getItem(KEY) === null ? KEY_NEEDED : KEY_WRONG);
  sessionStorage.removeItem(KEY);
  view.askForKey(true);
}

/**
 * @param {Answer[]} answers
 * @param {number} milliseconds
 */
function showAnswers(answers, milliseconds) {
  figures.answer.add(milliseconds);
  view.showProblem("");
  for (const { changed, command, held } of answers) {
    if (!changed) continue;
    view.say(held);
    if (command) view.fireCommand(command);
  }
  view.showAnswers(answers.slice(0, hands.length)); // of hands that have left meanwhile nothing is said
}

/** @param {Point[][]} found the hands of a new frame */
function showFrame(found) {
  hands = found;
  const now = performance.now();
  if (frameAt) figures.rate.add(now - frameAt);
  frameAt = now;
  drawHands(handsCanvas, hands, size);
  if (hands.length) {
    last = { hand: hands[0], size };
    allowCopies(true);
  } else {
    view.showAnswers([]);
  }
  stream?.send(hands);
}

/**
 * @param {Size} newSize of the frames to come
 * @param {"welcome" | "camera" | "playback" | "photo"} source
 * @param {boolean} isMirrored
 */
function setStage(newSize, source, isMirrored) {
  size = newSize;
  isRunning = source !== "welcome";
  view.showSource(source, size, isMirrored);
  if (stream) stream.configure(settings());
}

function stop() {
  turn += 1;
  stopSource();
  stopSource = () => {};
  disconnect();
  hands = [];
  frameAt = 0;
  drawHands(handsCanvas, hands, size);
  setStage(EMPTY_STAGE, "welcome", false);
}

/**
 * Begins with another source; what goes wrong on the way is said, and the page is as before.
 *
 * @param {(isWanted: () => boolean) => Promise<void>} source
 */
async function begin(source) {
  stop();
  const mine = turn;
  view.showProblem("");
  view.showStarting();
  try {
    await source(() => mine === turn);
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    if (mine === turn) {
      stop();
      view.showProblem(error.message);
    }
  }
}

async function getFinder() {
  loading.finder ??= loadFinder(finderFolder);
  try {
    return await loading.finder;
  } catch (error) {
    loading.finder = null; // the next press tries again
    throw error;
  }
}

/** @param {string} id of the camera, empty for the one that faces the person */
function startCamera(id) {
  return begin(async (isWanted) => {
    requireFinder(finderFolder);
    const loadingFinder = getFinder();
    loadingFinder.catch(() => {}); // said below, after the camera's own problems
    const camera = await openCamera(video, id, () => {
      stop();
      view.showProblem(CAMERA_GONE);
    });
    stopSource = camera.stop;
    const finder = await loadingFinder;
    if (!isWanted()) {
      camera.stop();
      return;
    }
    const videoSize = () => /** @type {Size} */ ([video.videoWidth, video.videoHeight]);
    setStage(videoSize(), "camera", camera.isMirrored);
    view.showCameras(await listCameras(), camera.id);
    connect();
    const endWatch = watch(video, async (time) => {
      // A phone that is turned gives pictures of another size
      if (String(size) !== String(videoSize())) setStage(videoSize(), "camera", camera.isMirrored);
      const found = await finder.inVideo(video, time);
      if (!isWanted()) return;
      figures.find.add(performance.now() - time);
      showFrame(found);
    });
    stopSource = () => {
      endWatch();
      camera.stop();
    };
  });
}

/** @param {string} first gesture to play */
function startPlayback(first) {
  return begin(async (isWanted) => {
    const reference = await loading.reference;
    if (!isWanted()) return;
    setStage(reference.image_size, "playback", false);
    connect();
    stopSource = play(reference, first, (found, gesture) => {
      view.showCaption(`Playing the reference hand of ${gesture}`);
      showFrame(found);
    });
  });
}

/** @param {Blob} blob */
function showPhoto(blob) {
  return begin(async (isWanted) => {
    const photo = await createImageBitmap(blob).catch(() => {
      throw new Problem(NO_PICTURE);
    });
    const found = await (await getFinder()).inPhoto(photo);
    if (!isWanted()) return;
    if (!found.length) throw new Problem(NO_HAND);
    const scale = Math.min(1, LARGEST_PHOTO / Math.max(photo.width, photo.height));
    setStage([Math.round(photo.width * scale), Math.round(photo.height * scale)], "photo", false);
    [photoCanvas.width, photoCanvas.height] = size;
    photoCanvas.getContext("2d")?.drawImage(photo, 0, 0, ...size);
    connect();
    const timer = setInterval(() => showFrame(found), PHOTO_EVERY_MS);
    stopSource = () => clearInterval(timer);
  });
}

/** @param {boolean} isThere a hand to copy */
function allowCopies(isThere) {
  for (const button of document.querySelectorAll("button[data-copy]")) {
    /** @type {HTMLButtonElement} */ (button).disabled = !isThere;
  }
}

/** @param {HTMLButtonElement} button */
async function copy(button) {
  if (!last) return;
  const language = /** @type {"curl" | "python" | "javascript"} */ (button.dataset.copy);
  const label = button.textContent;
  try {
    const needsKey = sessionStorage.getItem(KEY) !== null;
    await navigator.clipboard.writeText(snippets(predictUrl, last.hand, last.size, needsKey)[language]);
    button.textContent = "Copied";
  } catch {
    button.textContent = "Not allowed";
  }
  setTimeout(() => {
    button.textContent = label;
  }, 1200);
}

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
document.ondragover = (event) => event.preventDefault();
document.ondrop = (event) => {
  event.preventDefault();
  if (event.dataTransfer?.files.length) showPhoto(event.dataTransfer.files[0]);
};
hold.oninput = () => {
  view.element("hold-value", HTMLOutputElement).value = `${hold.value} ms`;
};
hold.onchange = () => stream?.configure(settings());
keyForm.onsubmit = (event) => {
  event.preventDefault();
  sessionStorage.setItem(KEY, view.element("key", HTMLInputElement).value);
  view.askForKey(false);
  view.showProblem("");
  stream?.configure(settings());
};
document.onvisibilitychange = () => {
  if (document.hidden) disconnect();
  else if (isRunning) connect();
};
setInterval(() => {
  view.showRate(figures.rate.summary());
  view.showTimes("find", figures.find.summary());
  view.showTimes("answer", figures.answer.summary());
}, FIGURES_EVERY_MS);

loading.reference.then(
  (reference) => view.showGestures(reference, startPlayback),
  ({ message }) => view.showProblem(message),
);
