// The panel in which gestures are taught: what it shows and says, and what the person does there.

import { handIcon } from "./hand_picture.js";
import { element, spaced, text } from "./view.js";

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
 * @property {() => void} onAgain
 * @property {(name: string) => void} onRemove
 * @property {(name: string, index: number) => void} onRemoveExample
 */

const RECORD = "Record for 3 seconds";
const TURN = "Turn and tilt the hand a little";

const panel = element("teach", HTMLElement);
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

/** @param {Actions} done what each action does */
export function listen(done) {
  actions = done;
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
    files.value = ""; // the same ones may be chosen again
    if (chosen.length) actions.onFiles(chosen);
  };
  saveButton.onclick = actions.onSave;
  againButton.onclick = actions.onAgain;
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
  if (isShown) element("teach-title", HTMLElement).focus();
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

/** @param {string} sentence of what goes on, for the eye and for screen readers */
export function say(sentence) {
  if (status.textContent !== sentence) status.textContent = sentence; // or it would be heard again
}

/**
 * @param {string} sentence what is wrong, empty when nothing is
 * @param {{canAskAgain?: boolean}} [options]
 */
export function showProblem(sentence, { canAskAgain = false } = {}) {
  problem.hidden = !sentence;
  problem.textContent = sentence;
  againButton.hidden = !canAskAgain;
}

/** @param {boolean} isGoingOn */
export function showRecording(isGoingOn) {
  recordButton.textContent = isGoingOn ? "Cancel" : RECORD;
  recordButton.dataset.recording = String(isGoingOn);
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
  showOverPicture(String(left), `Hold up ${spaced(gesture)}`, 0);
  say(`${left}`);
}

/** @param {number} share that is recorded, 0 to 1 */
export function showProgress(share) {
  if (share === 0) say(`Recording: ${TURN.toLowerCase()}.`);
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
 * @param {Record<string, Report>} reports of those that the service has judged
 */
export function showGestures(gestures, reports) {
  const focused = document.activeElement instanceof HTMLElement ? document.activeElement.dataset.key : undefined;
  list.replaceChildren(
    ...[...gestures].map(([name, gesture]) =>
      gestureItem(name, gesture, Object.hasOwn(reports, name) ? reports[name] : null),
    ),
  );
  saveButton.disabled = !gestures.size;
  if (focused !== undefined) focusAgain(focused);
}

/**
 * After what had the focus was made anew, or removed.
 *
 * @param {string} key of it
 */
function focusAgain(key) {
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
    say("");
    return;
  }
  const { examples, advice } = reports[name];
  say(`${spaced(name)} is taught from ${examples} ${examples === 1 ? "example" : "examples"}: show it to the camera.`);
  const heard = text("span", ` ${advice.replaceAll("`", "")}`); // it can be read beside the gesture
  heard.className = "unseen";
  status.append(heard);
  nameField.value = commandField.value = "";
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
  const title = text("h3", spaced(name));
  title.className = "teach-title";
  if (command) {
    const itsCommand = text("small", command);
    itsCommand.className = "teach-note";
    title.append(" ", itsCommand);
  }
  const more = button("Record more", ["more", name], () => actions.onRecord(name, ""));
  more.ariaLabel = `Record more of ${spaced(name)}`;
  const remove = button("Remove", ["remove", name], () => actions.onRemove(name));
  remove.ariaLabel = `Remove ${spaced(name)}`;
  const head = document.createElement("div");
  head.className = "teach-head";
  head.append(title, more, remove);
  const hands = document.createElement("ul");
  hands.className = "examples";
  hands.ariaLabel = `Examples of ${spaced(name)}`;
  hands.append(
    ...examples.map(({ hand, size }, index) => {
      const example = button("", ["example", name, index], () => actions.onRemoveExample(name, index));
      example.className = "example";
      example.ariaLabel = `Remove example ${index + 1} of ${spaced(name)}`;
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
  // Names stand between backticks
  sentence.append(...advice.split("`").map((part, index) => (index % 2 ? text("b", spaced(part)) : part)));
  const facts = document.createElement("dl");
  facts.className = "report";
  for (const [label, value] of [
    ["Right when left out", right_left_out === null ? "–" : `${right_left_out} of ${examples}`],
    ["Right when tilted by 20°", `${right_tilted} of ${examples}`],
    ["Most like", `${spaced(resembles)}, ${percent(resemblance, 0)}`],
    ["Other hands taken for it", `${percent(taken, 1)} (1 % is usual)`],
  ]) {
    const fact = document.createElement("div");
    const term = text("dt", label);
    term.className = "teach-note";
    fact.append(term, text("dd", value));
    facts.append(fact);
  }
  return [sentence, facts];
}

/**
 * @param {string} label
 * @param {(string | number)[]} key what keeps the focus when the list is made anew
 * @param {() => void} onPress
 */
function button(label, key, onPress) {
  const made = document.createElement("button");
  made.type = "button";
  made.textContent = label;
  made.dataset.key = JSON.stringify(key);
  made.onclick = onPress;
  return made;
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
  setTimeout(() => URL.revokeObjectURL(link.href)); // the download has begun
}
