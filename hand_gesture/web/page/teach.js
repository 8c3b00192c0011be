// Teaching gestures: adds examples from a recording, photos or a file, and validates them with POST /gestures.
//
// `shown` are the gestures in the panel, `accepted` those that the service has validated and the streams use.
// They differ while a request is pending and after it has failed.

import {
  mergeGestures,
  parseFile,
  requireCommand,
  requireName,
  serialize,
  withExamples,
  withoutExample,
  withoutGesture,
} from "./own_gestures.js";
import { Problem, problemOf, withTimeout } from "./problem.js";
import { record } from "./recording.js";
import * as view from "./teach_view.js";

const TIMEOUT_MS = 20_000;
const UNREACHABLE = "The service cannot be reached: see that it runs, and press Check again.";
const TIMED_OUT = "The service does not answer: press Check again in a moment.";
const NO_HAND_IN_PHOTOS = "No photo shows one whole hand, and only one: try others.";
const LEFT_OUT = "photos were left out: each must be a picture of one whole hand, and only one.";
const FILE_NAME = "my_gestures.json";

/**
 * @typedef {import("./stream.js").Point} Point
 * @typedef {import("./own_gestures.js").Example} Example
 * @typedef {import("./own_gestures.js").OwnGestures} OwnGestures
 * @typedef {import("./own_gestures.js").GestureFields} GestureFields
 * @typedef {import("./own_gestures.js").Size} Size
 *
 * @typedef {object} Report on one gesture; docs/teach.md explains its fields
 * @property {number} examples
 * @property {number | null} right_left_out
 * @property {number} right_tilted
 * @property {string} resembles
 * @property {number} resemblance
 * @property {number} taken
 * @property {string} advice
 */

/** @type {{hands: Point[][], size: Size}} */
const NO_HANDS = { hands: [], size: [1, 1] };

/** The service rejects the gestures. */
class Refusal extends Problem {}

/** The service requires a key. */
class KeyRequired extends Problem {}

/**
 * @param {object} page
 * @param {(signal: AbortSignal) => Promise<AbortSignal | null>} page.useCamera starts the camera unless it
 *   runs; resolves to a signal that is aborted when the camera stops, or null if it did not start
 * @param {(photo: Blob, signal: AbortSignal) => Promise<{hands: Point[][], size: Size}>} page.findHands
 * @param {() => string[]} page.known the model's gestures
 * @param {() => string | null} page.key the server's key, null if none was entered
 * @param {() => void} page.onKeyRequired
 * @param {(gestures: OwnGestures) => void} page.onAccepted the streams should use these
 */
export function startTeaching({ useCamera, findHands, known, key, onKeyRequired, onAccepted }) {
  /** @type {OwnGestures} */
  let shown = new Map();
  /** @type {OwnGestures} */
  let accepted = shown;
  /** @type {Record<string, Report>} */
  let reports = {};
  /** @type {import("./recording.js").OnPicture | null} */
  let onPicture = null;
  let activity = new AbortController(); // a recording, or reading photos or a file
  let check = new AbortController(); // a request to the service

  function cancel() {
    activity.abort();
    onPicture = null;
  }

  /**
   * Cancels the running activity and starts another.
   *
   * @param {(signal: AbortSignal) => Promise<void>} act
   * @param {{isRecording?: boolean}} [options]
   */
  async function startActivity(act, { isRecording = false } = {}) {
    cancel();
    activity = new AbortController();
    const { signal } = activity;
    view.showProblem("");
    view.showStatus("");
    view.showRecording(isRecording);
    try {
      await act(signal);
    } catch (error) {
      if (!signal.aborted) view.showProblem(problemOf(error).message);
    } finally {
      if (activity.signal === signal) {
        onPicture = null;
        view.showRecording(false);
      }
    }
  }

  /**
   * @param {string} name as it was typed
   * @param {string} command
   */
  const recordExamples = (name, command) =>
    startActivity(
      async (signal) => {
        const [gesture, itsCommand] = [requireName(shown, name, known()), requireCommand(command)];
        view.showStatus("Starting the camera …");
        const camera = await useCamera(signal);
        signal.throwIfAborted(); // the status may be that of a newer activity
        if (camera === null) {
          view.showStatus("");
          return;
        }
        camera.addEventListener("abort", () => signal === activity.signal && cancelRecording(), { once: true });
        const examples = await record({
          watch: (call) => {
            onPicture = call;
          },
          signal,
          onCount: (left) => view.showCount(left, gesture),
          onProgress: view.showProgress,
        });
        view.showRecording(false);
        await update(withExamples(shown, gesture, itsCommand, examples), gesture);
      },
      { isRecording: true },
    );

  function cancelRecording() {
    if (!view.isRecording()) return;
    cancel();
    view.showRecording(false);
    view.showStatus("The recording was ended.");
  }

  /** @param {Blob[]} photos */
  const addPhotos = (photos) =>
    startActivity(async (signal) => {
      const { name, command } = view.typed();
      const [gesture, itsCommand] = [requireName(shown, name, known()), requireCommand(command)];
      view.showStatus(photos.length === 1 ? "Looking for a hand …" : `Looking for hands in ${photos.length} photos …`);
      /** @type {Example[]} */
      const examples = [];
      for (const photo of photos) {
        const { hands, size } = await findHands(photo, signal).catch((error) => {
          if (photos.length === 1 || problemOf(error).code !== "unreadable_photo") throw error;
          return NO_HANDS;
        });
        signal.throwIfAborted();
        if (hands.length === 1) examples.push({ hand: hands[0], size });
      }
      if (!examples.length) throw new Problem(NO_HAND_IN_PHOTOS);
      const isAccepted = await update(withExamples(shown, gesture, itsCommand, examples), gesture);
      const leftOut = photos.length - examples.length;
      if (isAccepted && leftOut && !signal.aborted) view.showProblem(`${leftOut} of ${photos.length} ${LEFT_OUT}`);
    });

  /** @param {Blob} file */
  const openFile = (file) =>
    startActivity(async (signal) => {
      const added = await parseFile(file);
      signal.throwIfAborted();
      await update(mergeGestures(shown, added), [...added.keys()].at(-1));
    });

  /**
   * Shows gestures, and passes them to the streams once the service accepts them.
   *
   * @param {OwnGestures} gestures
   * @param {string} [changed] name of the added or changed gesture
   * @returns {Promise<boolean>} whether it did
   */
  async function update(gestures, changed) {
    check.abort();
    check = new AbortController();
    const { signal } = check;
    const before = shown;
    shown = gestures;
    view.showProblem("");
    view.showCheckAgain(false);
    view.showGestures(shown, {});
    view.showStatus(gestures.size ? "Asking the service how well it can be told apart …" : "");
    try {
      reports = gestures.size ? await withTimeout(fetchReports(gestures, key(), signal), TIMEOUT_MS, TIMED_OUT) : {};
      signal.throwIfAborted();
    } catch (error) {
      if (signal.aborted) return false;
      view.showStatus("");
      // Only the change is undone: earlier gestures may still be unchecked
      if (error instanceof Refusal) shown = before === gestures ? accepted : before;
      view.showGestures(shown, shown === accepted ? reports : {});
      view.showProblem(problemOf(error).message);
      view.showCheckAgain(shown !== accepted);
      if (error instanceof KeyRequired) onKeyRequired();
      return false;
    }
    accepted = shown;
    onAccepted(accepted);
    view.showGestures(shown, reports);
    view.showTaught(changed, reports);
    return true;
  }

  const checkAgain = () => update(shown);

  /** @param {File[]} files photos, or a file of gestures; the file takes precedence */
  function addFiles(files) {
    const saved = files.find(({ name, type }) => type === "application/json" || name.endsWith(".json"));
    return saved ? openFile(saved) : addPhotos(files);
  }

  view.listen({
    onRecord: recordExamples,
    onCancel: cancelRecording,
    onFiles: addFiles,
    onSave: () => view.save(JSON.stringify({ gestures: serialize(shown) }), FILE_NAME),
    onCheckAgain: checkAgain,
    onRemove: (name) => update(withoutGesture(shown, name)),
    onRemoveExample: (name, index) => update(withoutExample(shown, name, index), name),
  });

  return {
    cancel: cancelRecording,
    addFiles,
    isOpen: view.isOpen,
    /** Retries a check that failed because the service was unreachable or required a key. */
    checkAgainIfPending() {
      if (shown !== accepted) checkAgain();
    },
    /**
     * @param {Point[][]} hands of the camera's newest picture
     * @param {Size} size of the picture in pixels
     */
    onHands(hands, size) {
      onPicture?.(hands, size);
    },
  };
}

/**
 * @param {OwnGestures} gestures
 * @param {string | null} key
 * @param {AbortSignal} signal
 * @returns {Promise<Record<string, Report>>}
 * @throws {Problem}
 */
async function fetchReports(gestures, key, signal) {
  const response = await fetch("gestures", {
    method: "POST",
    headers: { "Content-Type": "application/json", ...(key && { Authorization: `Bearer ${inUtf8(key)}` }) },
    body: JSON.stringify({ gestures: serialize(gestures) }),
    signal,
  }).catch(() => {
    throw new Problem(UNREACHABLE);
  });
  /** @type {any} */
  const answer = await response.json().catch(() => ({}));
  if (response.ok && answer.gestures) return answer.gestures;
  if (response.status === 401) throw new KeyRequired("This server asks for a key: type it in, then press Check again.");
  if (response.status === 400 && answer.error) throw new Refusal(answer.error);
  throw new Problem(answer.error ?? UNREACHABLE);
}

/**
 * Encodes a string for a header as UTF-8, which the server expects: fetch() sends one byte for each character.
 *
 * @param {string} value
 */
function inUtf8(value) {
  return String.fromCharCode(...new TextEncoder().encode(value));
}
