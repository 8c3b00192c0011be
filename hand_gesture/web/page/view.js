// Updates the page, except the panel of teach_view.js.

import { handIcon } from "./hand_drawing.js";

const NONE = "none";
const ANNOUNCE_INTERVAL_MS = 1500;
const COMMAND_SHOWN_MS = 900;
const ARROW_DEGREES = /** @type {Record<string, number>} */ ({ up: 0, right: 90, down: 180, left: 270 });
const STILL = { preventScroll: true };
const WELCOME_GESTURES = ["like", "palm", "peace"];
const SERVICE_LABELS = { idle: "Not connected", open: "Connected", away: "Service away", refused: "Refused" };

/**
 * @typedef {import("./stream.js").Answer} Answer
 * @typedef {import("./own_gestures.js").OwnGestures} OwnGestures
 * @typedef {import("./playback.js").Reference} Reference
 * @typedef {import("./playback.js").Model} Model
 * @typedef {ReturnType<import("./rolling_stats.js").RollingStats["summary"]>} Summary
 * @typedef {"welcome" | "camera" | "playback" | "photo"} Source
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
const gestureList = element("gestures", HTMLElement);
const start = element("start", HTMLButtonElement);
const stop = element("stop", HTMLButtonElement);
const welcome = element("welcome", HTMLElement);
const controls = element("controls", HTMLElement);
const keyForm = element("ask-key", HTMLFormElement);

/** @type {HTMLElement[]} */
const cards = [];
/** @type {Reference | null} */
let reference = null;
/** @type {OwnGestures} */
let ownGestures = new Map();
/** @type {(gesture: string) => void} */
let playGesture = () => {};
let lastAnnouncedAt = Number.NEGATIVE_INFINITY;
/** @type {ReturnType<typeof setTimeout> | undefined} */
let announcement;
/** @type {HTMLElement} */
let lastControl = stop; // that had the keyboard focus, for the next camera

/** @param {string} sentence empty hides the problem */
export function showProblem(sentence) {
  problem.hidden = !sentence;
  if (problem.textContent !== sentence) problem.textContent = sentence;
}

/** @param {"idle" | "open" | "away" | "refused"} state */
export function showService(state) {
  service.dataset.state = answersBox.dataset.service = state;
  service.textContent = SERVICE_LABELS[state];
}

/** @param {string} text label of the start button until showSource is called, announced by screen readers */
export function showStarting(text) {
  start.ariaDisabled = "true"; // a disabled button would lose the keyboard focus
  start.textContent = spoken.textContent = text;
}

/** @returns {boolean} whether a source is starting */
export function isStarting() {
  return start.ariaDisabled === "true";
}

/**
 * @param {Source} source
 * @param {[number, number]} size of its picture in pixels
 * @param {boolean} isMirrored
 */
export function showSource(source, [width, height], isMirrored) {
  picture.style.setProperty("--shape", `${width} / ${height}`);
  picture.style.setProperty("--ratio", String(width / height));
  picture.classList.toggle("mirrored", isMirrored);
  const focused = document.activeElement;
  const isWelcome = source === "welcome";
  for (const part of [welcome, element("how", HTMLElement)]) part.hidden = !isWelcome;
  for (const part of [controls, answersBox, element("figures", HTMLElement)]) part.hidden = isWelcome;
  element("video", HTMLElement).hidden = source !== "camera";
  element("photo", HTMLElement).hidden = source !== "photo";
  element("which-camera", HTMLElement).hidden = source !== "camera";
  showCaption("");
  spoken.textContent = "";
  start.ariaDisabled = null;
  start.textContent = "Start camera";
  // An element that is hidden loses the keyboard focus
  if (!isWelcome && welcome.contains(focused)) {
    (source === "camera" ? lastControl : stop).focus(STILL);
    lastControl = stop;
  }
  if (isWelcome && focused instanceof HTMLElement && controls.contains(focused)) {
    lastControl = focused;
    start.focus(STILL);
  }
}

/** @param {string} text empty hides the caption */
export function showCaption(text) {
  caption.hidden = !text;
  if (caption.textContent !== text) caption.textContent = text;
}

/** @param {boolean} isOver a file is dragged over the page */
export function showDropTarget(isOver) {
  document.body.classList.toggle("dropping", isOver);
}

/**
 * @param {number} slot of the hand
 * @returns {string} CSS colour
 */
export function handColor(slot) {
  return getComputedStyle(document.body)
    .getPropertyValue(`--hand-${slot % 2}`)
    .trim();
}

/**
 * @param {Answer[]} answers one for each visible hand
 * @param {number[]} slots of these hands, in the same order
 */
export function showAnswers(answers, slots) {
  while (cards.length > answers.length) cards.pop()?.remove();
  while (cards.length < answers.length) cards.push(answersBox.appendChild(answerCard()));
  answersBox.dataset.hands = String(answers.length);
  answers.forEach(({ gesture, confidence, held }, index) => {
    const card = cards[index];
    const [word, state, meter, percent] = /** @type {HTMLElement[]} */ ([...card.children]);
    card.dataset.gesture = gesture;
    card.dataset.held = held;
    card.dataset.slot = String(slots[index] % 2);
    card.style.order = String(slots[index]);
    word.textContent = gesture === NONE ? "no gesture" : displayName(gesture);
    state.textContent = stateOf(gesture, held);
    meter.ariaValueNow = confidence.toFixed(2);
    meter.style.setProperty("--value", String(confidence));
    percent.textContent = `${Math.round(100 * confidence)} %`;
  });
  const shown = new Set(answers.map(({ gesture }) => gesture));
  for (const item of gestureList.children) {
    item.classList.toggle("shown", shown.has(/** @type {HTMLElement} */ (item).dataset.gesture ?? ""));
  }
}

function answerCard() {
  const card = document.createElement("div");
  card.className = "answer";
  card.innerHTML =
    '<p class="gesture"></p><p class="state"></p>' +
    '<div class="meter" role="meter" aria-label="Confidence" aria-valuemin="0" aria-valuemax="1"></div>' +
    '<span class="confidence"></span>';
  return card;
}

/**
 * @param {string} gesture of the frame
 * @param {string} held
 */
function stateOf(gesture, held) {
  if (held === NONE) return gesture === NONE ? "Nothing is held" : "Not held yet";
  if (held !== gesture) return `${displayName(held)} is still held`;
  const command = ownGestures.get(held)?.command ?? reference?.commands[held];
  return command ? `Held: ${command}` : "Held";
}

/**
 * @param {string} gesture
 * @returns {string} with spaces for underscores
 */
export function displayName(gesture) {
  return gesture.replaceAll("_", " ");
}

/**
 * Flashes a command over the picture.
 *
 * @param {string} command
 */
export function showCommand(command) {
  const arrow = document.createElement("p");
  arrow.className = "command";
  arrow.dataset.command = command;
  if (Object.hasOwn(ARROW_DEGREES, command)) {
    arrow.innerHTML =
      '<svg viewBox="0 0 24 24" aria-hidden="true"><path d="M12 21V4M5 11l7-7 7 7"/></svg><span class="unseen"></span>';
    arrow.style.setProperty("--turn", `${ARROW_DEGREES[command]}deg`);
  }
  (arrow.querySelector("span") ?? arrow).textContent = command;
  picture.append(arrow);
  setTimeout(() => arrow.remove(), COMMAND_SHOWN_MS);
}

/**
 * Announces the newest held gesture to screen readers, throttled.
 *
 * @param {string} held
 */
export function announce(held) {
  clearTimeout(announcement);
  if (held === NONE) return;
  const wait = lastAnnouncedAt + ANNOUNCE_INTERVAL_MS - performance.now();
  announcement = setTimeout(() => {
    lastAnnouncedAt = performance.now();
    spoken.textContent = displayName(held);
  }, wait);
}

/**
 * @param {Reference} newReference
 * @param {(gesture: string) => void} onChoose
 */
export function showReference(newReference, onChoose) {
  reference = newReference;
  playGesture = onChoose;
  const { hands, image_size: size, model } = reference;
  const known = Object.keys(hands);
  element("play", HTMLElement).hidden = !known.length;
  const examples = [...WELCOME_GESTURES.filter((gesture) => gesture in hands), ...known].slice(
    0,
    WELCOME_GESTURES.length,
  );
  element("examples", HTMLElement).hidden = !known.length;
  element("examples", HTMLElement).replaceChildren(...examples.map((gesture) => handIcon(hands[gesture], size)));
  element("gestures-title", HTMLElement).textContent = known.length ? "Gestures to try" : "Gestures of this model";
  showGestures();
  if (model) showModel(model);
}

/** @param {OwnGestures} gestures taught on this page */
export function showOwnGestures(gestures) {
  ownGestures = gestures;
  showGestures();
}

/** The model's gestures, then those taught on this page. */
function showGestures() {
  const {
    hands = {},
    gestures = [],
    commands = {},
    image_size: size = /** @type {[number, number]} */ ([1, 1]),
  } = reference ?? {};
  const focused = gestureList.contains(document.activeElement) && document.activeElement?.closest("li");
  gestureList.replaceChildren(
    ...gestures.map((gesture) =>
      gestureCard(gesture, hands[gesture] && handIcon(hands[gesture], size), commands[gesture]),
    ),
    ...[...ownGestures].map(([gesture, { command, examples }]) =>
      gestureCard(gesture, handIcon(examples[0].hand, examples[0].size), command),
    ),
  );
  balanceRows();
  if (focused) cardOf(focused.dataset.gesture)?.querySelector("button")?.focus(STILL);
}

/** @param {string} [gesture] */
function cardOf(gesture) {
  return /** @type {HTMLElement[]} */ ([...gestureList.children]).find(({ dataset }) => dataset.gesture === gesture);
}

/**
 * @param {string} gesture
 * @param {SVGSVGElement | undefined} icon undefined without a reference hand
 * @param {string | null} [command]
 */
function gestureCard(gesture, icon, command) {
  const item = document.createElement("li");
  item.dataset.gesture = gesture;
  const card = document.createElement(icon ? "button" : "div");
  card.className = "gesture-card";
  if (card instanceof HTMLButtonElement) {
    card.type = "button";
    card.title = `Play ${displayName(gesture)}`;
    card.onclick = () => playGesture(gesture);
  }
  card.append(icon ?? initial(gesture), textElement("span", displayName(gesture)));
  if (command) card.append(textElement("small", command));
  item.append(card);
  return item;
}

/** @param {string} gesture without a reference hand */
function initial(gesture) {
  // By grapheme, because an emoji may be several code points
  const [first] = new Intl.Segmenter().segment(gesture);
  const letter = textElement("b", first?.segment ?? "");
  letter.setAttribute("aria-hidden", "true");
  return letter;
}

/** @param {Model} model */
function showModel({ name, version, kind, features }) {
  const list = element("model", HTMLElement);
  const facts = { Model: name, Version: version, Kind: kind, Features: features };
  list.replaceChildren(
    ...Object.entries(facts)
      .filter(([, value]) => value)
      .map(([label, value]) => {
        const fact = document.createElement("div");
        fact.append(textElement("dt", label), textElement("dd", value));
        return fact;
      }),
  );
  list.hidden = false;
}

/**
 * @param {string} tag
 * @param {string} content
 * @returns {HTMLElement}
 */
export function textElement(tag, content) {
  const made = document.createElement(tag);
  made.textContent = content;
  return made;
}

/** Picks the number of columns that leaves the fewest empty cells in the last row. */
function balanceRows() {
  const { columnGap, fontSize } = getComputedStyle(gestureList);
  const least = Number(getComputedStyle(gestureList).getPropertyValue("--least")) * Number.parseFloat(fontSize);
  const gap = Number.parseFloat(columnGap);
  const count = gestureList.children.length;
  const most = Math.max(1, Math.min(count, Math.floor((gestureList.clientWidth + gap) / (least + gap))));
  let best = most;
  const empty = (/** @type {number} */ columns) => columns * Math.ceil(count / columns) - count;
  for (let columns = most; columns >= 0.7 * most; columns -= 1) if (empty(columns) < empty(best)) best = columns;
  gestureList.style.setProperty("--columns", String(best));
}

new ResizeObserver(balanceRows).observe(gestureList);

/** @param {Summary} summary of the milliseconds between two frames */
export function showFrameRate({ rate, line }) {
  const [, value, , sparkline] = cells("rate");
  value.textContent = rate ? `${rate.toFixed(rate < 10 ? 1 : 0)} fps` : "–";
  drawSparkline(sparkline, line);
}

/**
 * @param {"find" | "answer"} name
 * @param {Summary} summary of milliseconds
 */
export function showLatency(name, { p50, p95, line }) {
  const [, median, slow, sparkline] = cells(name);
  const inMilliseconds = (/** @type {number} */ value) =>
    line.length ? `${value.toFixed(value < 10 ? 1 : 0)} ms` : "–";
  median.textContent = inMilliseconds(p50);
  slow.textContent = inMilliseconds(p95);
  drawSparkline(sparkline, line);
}

/** @param {string} name of a row in the table of figures */
function cells(name) {
  const row = /** @type {HTMLTableRowElement} */ (document.querySelector(`[data-figure="${name}"]`));
  return [...row.cells];
}

/**
 * @param {HTMLElement} place
 * @param {number[]} values
 */
function drawSparkline(place, values) {
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
  const isChoice = cameras.length > 1;
  if (!isChoice && document.activeElement === select) stop.focus();
  element("which-camera", HTMLElement).hidden = !isChoice;
}

/** @param {boolean} isAsked whether the server requires a key */
export function askForKey(isAsked) {
  const hadFocus = keyForm.contains(document.activeElement);
  keyForm.hidden = !isAsked;
  if (isAsked) element("key", HTMLInputElement).focus();
  else if (hadFocus) (controls.hidden ? start : stop).focus();
}
