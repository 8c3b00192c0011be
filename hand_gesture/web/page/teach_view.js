// The panel for teaching gestures.

import { handIcon } from "./hand_drawing.js";
import { caseFolded } from "./own_gestures.js";
import { displayName, element, textElement } from "./view.js";

/**
 * @typedef {import("./own_gestures.js").OwnGestures} OwnGestures
 * @typedef {import("./own_gestures.js").OwnGesture} OwnGesture
 * @typedef {import("./teach.js").Report} Report
 *
 * @typedef {object} Actions
 * @property {(name: string, command: string) => void} onRecord
 * @property {() => void} onCancel
 * @property {(files: File[]) => void} onFiles
 * @property {() => void} onSave
 * @property {() => void} onCheckAgain
 * @property {(name: string) => void} onRemove
 * @property {(name: string, index: number) => void} onRemoveExample
 */

const RECORD = "Record for 3 seconds";
const DOWNLOAD_MS = 60_000; // some browsers ask first where to save the file
const TURN = "Turn and tilt the hand a little";

const panel = element("teach", HTMLElement);
const panelTitle = element("teach-title", HTMLElement);
const opener = element("teach-open", HTMLButtonElement);
const form = element("teach-form", HTMLFormElement);
const nameField = element("teach-name", HTMLInputElement);
const commandField = element("teach-command", HTMLInputElement);
const recordButton = element("teach-record", HTMLButtonElement);
const files = element("teach-files", HTMLInputElement);
const problem = element("teach-problem", HTMLElement);
const againButton = element("teach-again", HTMLButtonElement);
const status = element("teach-status", HTMLElement);
const list = element("taught", HTMLElement);
const saveButton = element("teach-save", HTMLButtonElement);
const countdown = element("countdown", HTMLElement);
const picture = element("picture", HTMLElement);
/** @type {Actions} */
let actions;

/** @param {Actions} handlers */
export function listen(handlers) {
  actions = handlers;
  opener.onclick = () => show(true);
  element("teach-close", HTMLButtonElement).onclick = () => show(false);
  form.onsubmit = (event) => {
    event.preventDefault();
    if (isRecording()) actions.onCancel();
    else actions.onRecord(nameField.value, commandField.value);
  };
  element("teach-photos", HTMLButtonElement).onclick = () => choose("image/*", true);
  element("teach-open-file", HTMLButtonElement).onclick = () => choose(".json,application/json", false);
  files.onchange = () => {
    const chosen = [...(files.files ?? [])];
    files.value = ""; // or choosing the same files again fires no change event
    if (chosen.length) actions.onFiles(chosen);
  };
  saveButton.onclick = actions.onSave;
  againButton.onclick = actions.onCheckAgain;
  document.addEventListener("keydown", ({ key }) => {
    if (key === "Escape") actions.onCancel();
  });
}

/** @param {boolean} isShown */
function show(isShown) {
  if (!isShown) actions.onCancel();
  panel.hidden = !isShown;
  document.body.classList.toggle("teaching", isShown);
  opener.hidden = isShown;
  if (isShown) panelTitle.focus();
  else opener.focus();
}

/** @returns {boolean} */
export function isOpen() {
  return !panel.hidden;
}

/**
 * @param {string} accept
 * @param {boolean} isMultiple
 */
function choose(accept, isMultiple) {
  files.accept = accept;
  files.multiple = isMultiple;
  files.click();
}

/** @returns {{name: string, command: string}} */
export function typed() {
  return { name: nameField.value, command: commandField.value };
}

/** @param {string} sentence shown, and announced by screen readers */
export function showStatus(sentence) {
  if (status.textContent !== sentence) status.textContent = sentence; // or screen readers would repeat it
}

/** @param {string} sentence empty hides the problem */
export function showProblem(sentence) {
  problem.hidden = !sentence;
  problem.textContent = sentence;
}

/** @param {boolean} isShown whether gestures are shown that the service has not accepted */
export function showCheckAgain(isShown) {
  // An element that is hidden loses the keyboard focus
  if (!isShown && document.activeElement === againButton) panelTitle.focus();
  againButton.hidden = !isShown;
}

/** @param {boolean} isActive */
export function showRecording(isActive) {
  recordButton.textContent = isActive ? "Cancel" : RECORD;
  recordButton.dataset.recording = String(isActive);
  countdown.hidden = true;
}

/** @returns {boolean} */
export function isRecording() {
  return recordButton.dataset.recording === "true";
}

/**
 * @param {number} left seconds until the recording begins
 * @param {string} gesture
 */
export function showCount(left, gesture) {
  if (countdown.hidden) picture.scrollIntoView({ block: "nearest" });
  showOverPicture(String(left), `Hold up ${displayName(gesture)}`, 0);
  showStatus(`${left}`);
}

/** @param {number} share recorded so far, 0 to 1 */
export function showProgress(share) {
  if (share === 0) showStatus(`Recording: ${TURN.toLowerCase()}.`);
  showOverPicture("", TURN, share);
}

/**
 * @param {string} count
 * @param {string} sentence
 * @param {number} share
 */
function showOverPicture(count, sentence, share) {
  const [number, words] = /** @type {HTMLElement[]} */ ([...countdown.children]);
  countdown.hidden = false;
  number.textContent = count;
  words.textContent = sentence;
  countdown.style.setProperty("--value", String(share));
}

/**
 * @param {OwnGestures} gestures
 * @param {Record<string, Report>} reports of the gestures that the service has checked
 */
export function showGestures(gestures, reports) {
  const focused = document.activeElement instanceof HTMLElement ? document.activeElement.dataset.key : undefined;
  list.replaceChildren(
    ...[...gestures].map(([name, gesture]) =>
      gestureItem(name, gesture, Object.hasOwn(reports, name) ? reports[name] : null),
    ),
  );
  saveButton.disabled = !gestures.size;
  if (focused !== undefined) restoreFocus(focused);
}

/**
 * Rebuilding the list loses the keyboard focus.
 *
 * @param {string} key of the button that had it
 */
function restoreFocus(key) {
  const buttons = [...list.querySelectorAll("button")];
  const [kind, name] = /** @type {string[]} */ (JSON.parse(key));
  const others = buttons.filter((button) => {
    const [otherKind, otherName] = JSON.parse(button.dataset.key ?? "[]");
    return otherKind === kind && otherName === name;
  });
  (buttons.find((button) => button.dataset.key === key) ?? others.at(-1) ?? nameField).focus();
}

/**
 * @param {string | undefined} name of the gesture that was added or changed
 * @param {Record<string, Report>} reports
 */
export function showTaught(name, reports) {
  if (name === undefined || !Object.hasOwn(reports, name)) {
    showStatus("");
    return;
  }
  const { examples, advice } = reports[name];
  showStatus(
    `${displayName(name)} is taught from ${examples} ${examples === 1 ? "example" : "examples"}: show it to the camera.`,
  );
  const heard = textElement("span", ` ${advice.replaceAll("`", "")}`); // for screen readers; the list shows it, too
  heard.className = "unseen";
  status.append(heard);
  // Unless the next name was typed meanwhile
  if (caseFolded(nameField.value.trim()) === caseFolded(name)) nameField.value = commandField.value = "";
  itemOf(name)?.scrollIntoView({ block: "nearest" });
}

/** @param {string} name */
function itemOf(name) {
  return /** @type {HTMLElement[]} */ ([...list.children]).find(({ dataset }) => dataset.gesture === name);
}

/**
 * @param {string} name
 * @param {OwnGesture} gesture
 * @param {Report | null} report
 */
function gestureItem(name, { command, examples }, report) {
  const item = document.createElement("li");
  item.className = "taught-item";
  item.dataset.gesture = name;
  const title = textElement("h3", displayName(name));
  title.className = "teach-title";
  if (command) {
    const itsCommand = textElement("small", command);
    itsCommand.className = "teach-note";
    title.append(" ", itsCommand);
  }
  const more = button("Record more", ["more", name], () => actions.onRecord(name, ""));
  more.ariaLabel = `Record more of ${displayName(name)}`;
  const remove = button("Remove", ["remove", name], () => actions.onRemove(name));
  remove.ariaLabel = `Remove ${displayName(name)}`;
  const head = document.createElement("div");
  head.className = "teach-head";
  head.append(title, more, remove);
  const hands = document.createElement("ul");
  hands.className = "examples";
  hands.ariaLabel = `Examples of ${displayName(name)}`;
  hands.append(
    ...examples.map(({ hand, size }, index) => {
      const example = button("", ["example", name, index], () => actions.onRemoveExample(name, index));
      example.className = "example";
      example.ariaLabel = `Remove example ${index + 1} of ${displayName(name)}`;
      example.title = "Remove this example";
      example.append(handIcon(hand, size));
      const place = document.createElement("li");
      place.append(example);
      return place;
    }),
  );
  item.append(head, ...(report ? reportOf(report) : []), hands);
  return item;
}

/** @param {Report} report */
function reportOf({ examples, right_left_out, right_tilted, resembles, resemblance, taken, advice }) {
  const sentence = document.createElement("p");
  // Gesture names are in backticks
  sentence.append(...advice.split("`").map((part, index) => (index % 2 ? textElement("b", displayName(part)) : part)));
  const facts = document.createElement("dl");
  facts.className = "report";
  for (const [label, value] of [
    ["Right when left out", right_left_out === null ? "–" : `${right_left_out} of ${examples}`],
    ["Right when tilted by 20°", `${right_tilted} of ${examples}`],
    ["Most like", `${displayName(resembles)}, ${percent(resemblance, 0)}`],
    ["Other hands taken for it", `${percent(taken, 1)} (1 % is usual)`],
  ]) {
    const fact = document.createElement("div");
    const term = textElement("dt", label);
    term.className = "teach-note";
    fact.append(term, textElement("dd", value));
    facts.append(fact);
  }
  return [sentence, facts];
}

/**
 * @param {string} label
 * @param {(string | number)[]} key identifies the button after the list is rebuilt
 * @param {() => void} onPress
 */
function button(label, key, onPress) {
  const node = document.createElement("button");
  node.type = "button";
  node.textContent = label;
  node.dataset.key = JSON.stringify(key);
  node.onclick = onPress;
  return node;
}

/**
 * @param {number} share
 * @param {number} digits
 */
function percent(share, digits) {
  return `${(100 * share).toFixed(digits)} %`;
}

/**
 * Downloads a file.
 *
 * @param {string} content
 * @param {string} name
 */
export function save(content, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([content], { type: "application/json" }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), DOWNLOAD_MS);
}
