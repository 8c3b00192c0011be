// What the person sees and hears: everything that changes on the page is changed here.

import { handIcon } from "./skeleton.js";

const NONE = "none";
const SECONDS_BETWEEN_WORDS = 1.5;
const COMMAND_SHOWN_MS = 900;
const TURNS = /** @type {Record<string, number>} */ ({ up: 0, right: 90, down: 180, left: 270 });

/**
 * @typedef {import("./stream.js").Answer} Answer
 * @typedef {import("./playback.js").Reference} Reference
 * @typedef {ReturnType<import("./figures.js").Figures["summary"]>} Summary
 */

/**
 * @template {HTMLElement} T
 * @param {string} id
 * @param {new () => T} type
 * @returns {T}
 */
export function element(id, type) {
  const found = document.getElementById(id);
  if (!(found instanceof type)) throw new TypeError(`#${id} is no ${type.name}`);
  return found;
}

const answersBox = element("answers", HTMLElement);
const spoken = element("spoken", HTMLElement);
const problem = element("problem", HTMLElement);
const service = element("service", HTMLElement);
const picture = element("picture", HTMLElement);
const caption = element("caption", HTMLElement);
const strip = element("gestures", HTMLElement);

/** @type {HTMLElement[]} */
const cards = [];
let lastWordAt = Number.NEGATIVE_INFINITY;

/** @param {string} sentence what is wrong, empty when nothing is */
export function showProblem(sentence) {
  problem.hidden = !sentence;
  if (problem.textContent !== sentence) problem.textContent = sentence;
}

/** @param {"idle" | "open" | "away" | "refused"} state */
export function showService(state) {
  service.dataset.state = answersBox.dataset.service = state;
  service.textContent = { idle: "Not connected", open: "Connected", away: "Service away", refused: "Refused" }[state];
}

/** Until showSource is called: something was asked for, and takes a moment. */
export function showStarting() {
  const start = element("start", HTMLButtonElement);
  start.disabled = true;
  start.textContent = "Starting …";
}

/**
 * @param {"welcome" | "camera" | "playback" | "photo"} source what the picture comes from
 * @param {[number, number]} size of it
 * @param {boolean} isMirrored
 */
export function showSource(source, [width, height], isMirrored) {
  picture.style.setProperty("--shape", `${width} / ${height}`);
  picture.classList.toggle("mirrored", isMirrored);
  element("welcome", HTMLElement).hidden = source !== "welcome";
  element("video", HTMLElement).hidden = source !== "camera";
  element("photo", HTMLElement).hidden = source !== "photo";
  element("controls", HTMLElement).hidden = source === "welcome";
  element("which-camera", HTMLElement).hidden = source !== "camera";
  showCaption("");
  const start = element("start", HTMLButtonElement);
  start.disabled = false;
  start.textContent = "Start camera";
}

/** @param {string} text what the picture shows */
export function showCaption(text) {
  caption.hidden = !text;
  if (caption.textContent !== text) caption.textContent = text;
}

/**
 * The hands' answers, in large letters.
 *
 * @param {Answer[]} answers one for each hand that the picture shows
 */
export function showAnswers(answers) {
  while (cards.length > answers.length) cards.pop()?.remove();
  while (cards.length < answers.length) {
    const card = document.createElement("div");
    card.className = "answer";
    card.innerHTML =
      '<p class="gesture"></p><p class="held"></p><meter min="0" max="1" aria-label="Confidence"></meter><span class="confidence"></span>';
    answersBox.append(card);
    cards.push(card);
  }
  answersBox.dataset.hands = String(answers.length);
  answers.forEach((answer, index) => {
    const card = cards[index];
    const [gesture, held, meter, confidence] = /** @type {HTMLElement[]} */ ([...card.children]);
    card.dataset.gesture = answer.gesture;
    gesture.textContent = answer.gesture;
    held.textContent = answer.held === NONE ? "holds nothing" : `holds ${answer.held}`;
    /** @type {HTMLMeterElement} */ (meter).value = answer.confidence;
    confidence.textContent = `${Math.round(100 * answer.confidence)} %`;
  });
  const shown = new Set(answers.map(({ gesture }) => gesture));
  for (const item of strip.children) {
    item.classList.toggle("shown", shown.has(/** @type {HTMLElement} */ (item).dataset.gesture ?? ""));
  }
}

/**
 * A command fires once, when its gesture begins to hold.
 *
 * @param {string} command
 */
export function fireCommand(command) {
  const arrow = document.createElement("p");
  arrow.className = "command";
  arrow.dataset.command = command;
  if (command in TURNS) {
    arrow.innerHTML =
      '<svg viewBox="0 0 24 24" aria-hidden="true"><path d="M12 21V4M5 11l7-7 7 7"/></svg><span class="unseen"></span>';
    arrow.style.setProperty("--turn", `${TURNS[command]}deg`);
  }
  (arrow.querySelector("span") ?? arrow).textContent = command;
  picture.append(arrow);
  setTimeout(() => arrow.remove(), COMMAND_SHOWN_MS);
}

/**
 * Says what holds now; not more often than one can listen to.
 *
 * @param {string} held
 */
export function say(held) {
  const now = performance.now();
  if (held === NONE || now - lastWordAt < 1000 * SECONDS_BETWEEN_WORDS) return;
  lastWordAt = now;
  spoken.textContent = held;
}

/**
 * @param {Reference} reference
 * @param {(gesture: string) => void} onChoose
 */
export function showGestures({ hands, image_size: size, commands }, onChoose) {
  strip.replaceChildren(
    ...Object.entries(hands).map(([gesture, hand]) => {
      const item = document.createElement("li");
      const button = document.createElement("button");
      const name = document.createElement("span");
      item.dataset.gesture = gesture;
      name.textContent = gesture.replaceAll("_", "_\u200b"); // where it may be broken
      button.type = "button";
      button.title = `Play ${gesture}`;
      button.append(handIcon(hand, size), name);
      if (commands[gesture]) {
        const command = document.createElement("small");
        command.textContent = commands[gesture];
        button.append(command);
      }
      button.onclick = () => onChoose(gesture);
      item.append(button);
      return item;
    }),
  );
}

/** @param {Summary} summary of the milliseconds between two pictures */
export function showRate({ rate, line }) {
  const [, value, , curve] = cells("rate");
  value.textContent = rate ? rate.toFixed(rate < 10 ? 1 : 0) : "–";
  drawCurve(curve, line);
}

/**
 * @param {"find" | "answer"} name
 * @param {Summary} summary of milliseconds
 */
export function showTimes(name, { p50, p95, line }) {
  const [, median, slow, curve] = cells(name);
  const inMilliseconds = (/** @type {number} */ value) =>
    line.length ? `${value.toFixed(value < 10 ? 1 : 0)} ms` : "–";
  median.textContent = inMilliseconds(p50);
  slow.textContent = inMilliseconds(p95);
  drawCurve(curve, line);
}

/** @param {string} name of a row of figures */
function cells(name) {
  const row = /** @type {HTMLTableRowElement} */ (document.querySelector(`[data-figure="${name}"]`));
  return [...row.cells];
}

/**
 * @param {HTMLElement} place
 * @param {number[]} values
 */
function drawCurve(place, values) {
  const top = Math.max(...values, 1);
  const points = values.map((value, index) => `${index},${(10 - (9 * value) / top).toFixed(2)}`);
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", `0 0 ${Math.max(1, values.length - 1)} 10`);
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("aria-hidden", "true");
  const line = document.createElementNS(svg.namespaceURI, "polyline");
  line.setAttribute("points", points.join(" "));
  svg.append(line);
  place.replaceChildren(svg);
}

/**
 * @param {{id: string, name: string}[]} cameras
 * @param {string} current
 */
export function showCameras(cameras, current) {
  const select = element("cameras", HTMLSelectElement);
  select.replaceChildren(...cameras.map(({ id, name }) => new Option(name, id, false, id === current)));
  element("which-camera", HTMLElement).hidden = cameras.length < 2;
}

/** @param {boolean} isAsked whether the server asks for a key that it was not given */
export function askForKey(isAsked) {
  element("ask-key", HTMLElement).hidden = !isAsked;
  if (isAsked) element("key", HTMLInputElement).focus();
}
