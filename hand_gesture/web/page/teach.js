// Teaching gestures of one's own: from a recording, photos or a file to what the page's stream is told by.
//
// There are two sets of gestures: those that the panel shows, and those that the service has taken, which the stream
// has. They differ while the service is asked about a change, and after that has failed.

import {
  asFields,
  merged,
  readFile,
  requireCommand,
  requireName,
  withExamples,
  without,
  withoutExample,
} from "./own_gestures.js";
import { Problem, problemOf, within } from "./problem.js";
import { record } from "./recording.js";
import * as view from "./teach_view.js";

const ANSWER_MS = 20_000;
const AWAY = "The service cannot be reached: see that it runs, and press Check again.";
const SILENT = "The service does not answer: press Check again in a moment.";
const NO_HAND_IN_PHOTOS = "No photo shows one whole hand, and only one: try others.";
const FILE_NAME = "my_gestures.json";

/**
 * @typedef {import("./stream.js").Point} Point
 * @typedef {import("./own_gestures.js").Example} Example
 * @typedef {import("./own_gestures.js").OwnGestures} OwnGestures
 * @typedef {import("./own_gestures.js").GestureFields} GestureFields
 * @typedef {import("./own_gestures.js").Size} Size
 *
 * @typedef {object} Report of one gesture; docs/teach.md says what it means
 * @property {number} examples
 * @property {number | null} right_left_out
 * @property {number} right_tilted
 * @property {string} resembles
 * @property {number} resemblance
 * @property {number} taken
 * @property {string} advice
 */

/** The service refuses the gestures; the message says why. */
class Refusal extends Problem {}

/** The service asks for a key. */
class KeyNeeded extends Problem {}

/**
 * @param {object} page
 * @param {(signal: AbortSignal) => Promise<AbortSignal | null>} page.useCamera starts the camera unless it runs; the signal
 *   that it gives ends with the camera, and is null where it did not start
 * @param {(photo: Blob, signal: AbortSignal) => Promise<{hands: Point[][], size: Size}>} page.findHands
 * @param {() => string[]} page.known the model's gestures
 * @param {() => string | null} page.key of the server, if the person gave one
 * @param {() => void} page.onKeyNeeded
 * @param {(gestures: OwnGestures) => void} page.onTaught the stream is to have these
 */
export function startTeaching({ useCamera, findHands, known, key, onKeyNeeded, onTaught }) {
  /** @type {OwnGestures} */
  let shown = new Map();
  /** @type {OwnGestures} */
  let taught = shown;
  /** @type {Record<string, Report>} */
  let reports = {};
  /** @type {import("./recording.js").OnPicture | null} */
  let onPicture = null;
  let activity = new AbortController(); // a recording, or a search in photos
  let check = new AbortController(); // of what is shown, by the service

  function cancel() {
    activity.abort();
    onPicture = null;
  }

  /**
   * Does what the person asked for last, in place of what was going on.
   *
   * @param {(signal: AbortSignal) => Promise<void>} act
   * @param {{isRecording?: boolean}} [options]
   */
  async function begin(act, { isRecording = false } = {}) {
    cancel();
    activity = new AbortController();
    const { signal } = activity;
    view.showProblem("");
    view.say("");
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
    begin(
      async (signal) => {
        const [gesture, itsCommand] = [requireName(shown, name, known()), requireCommand(command)];
        view.say("Starting the camera …");
        const camera = await useCamera(signal);
        if (signal.aborted || camera === null) {
          view.say("");
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
        await change(withExamples(shown, gesture, itsCommand, examples), gesture);
      },
      { isRecording: true },
    );

  function cancelRecording() {
    if (!view.isRecording()) return;
    cancel();
    view.showRecording(false);
    view.say("The recording was ended.");
  }

  /** @param {Blob[]} photos */
  const addPhotos = (photos) =>
    begin(async (signal) => {
      const { name, command } = view.typed();
      const [gesture, itsCommand] = [requireName(shown, name, known()), requireCommand(command)];
      view.say(photos.length === 1 ? "Looking for a hand …" : `Looking for hands in ${photos.length} photos …`);
      /** @type {Example[]} */
      const examples = [];
      for (const photo of photos) {
        const { hands, size } = await findHands(photo, signal);
        signal.throwIfAborted();
        if (hands.length === 1) examples.push({ hand: hands[0], size });
      }
      if (!examples.length) throw new Problem(NO_HAND_IN_PHOTOS);
      await change(withExamples(shown, gesture, itsCommand, examples), gesture);
    });

  /** @param {Blob} file */
  const open = (file) =>
    begin(async (signal) => {
      const added = await readFile(file);
      signal.throwIfAborted();
      await change(merged(shown, added), [...added.keys()].at(-1));
    });

  /**
   * @param {OwnGestures} gestures to be shown and, if the service takes them, taught
   * @param {string} [changed] the gesture that is new among them, or has changed
   */
  async function change(gestures, changed) {
    check.abort();
    check = new AbortController();
    const { signal } = check;
    shown = gestures;
    view.showProblem("");
    view.showGestures(shown, {});
    view.say(gestures.size ? "Asking the service how well it can be told apart …" : "");
    try {
      reports = gestures.size ? await askForReports(gestures, key(), signal) : {};
      signal.throwIfAborted();
    } catch (error) {
      if (signal.aborted) return;
      view.say("");
      if (error instanceof Refusal) shown = taught;
      view.showGestures(shown, shown === taught ? reports : {});
      view.showProblem(problemOf(error).message, { canAskAgain: shown !== taught });
      if (error instanceof KeyNeeded) onKeyNeeded();
      return;
    }
    taught = shown;
    onTaught(taught);
    view.showGestures(shown, reports);
    view.showTaught(changed, reports);
  }

  const again = () => change(shown);

  /** @param {File[]} files photos, or a file of gestures */
  function take(files) {
    const saved = files.find(({ name, type }) => type === "application/json" || name.endsWith(".json"));
    return saved ? open(saved) : addPhotos(files);
  }

  view.listen({
    onRecord: recordExamples,
    onCancel: cancelRecording,
    onFiles: take,
    onSave: () => view.save(JSON.stringify({ gestures: asFields(shown) }), FILE_NAME),
    onAgain: again,
    onRemove: (name) => change(without(shown, name)),
    onRemoveExample: (name, index) => change(withoutExample(shown, name, index), name),
  });

  return {
    cancel: cancelRecording,
    take,
    isOpen: view.isOpen,
    /** What the service was not asked yet, because it was away or wanted a key. */
    askAgain() {
      if (shown !== taught) again();
    },
    /**
     * @param {Point[][]} hands of the camera's newest picture
     * @param {Size} size of it
     */
    see(hands, size) {
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
async function askForReports(gestures, key, signal) {
  const response = await within(
    fetch("gestures", {
      method: "POST",
      headers: { "Content-Type": "application/json", ...(key && { Authorization: `Bearer ${key}` }) },
      body: JSON.stringify({ gestures: asFields(gestures) }),
      signal,
    }).catch(() => {
      throw new Problem(AWAY);
    }),
    ANSWER_MS,
    SILENT,
  );
  /** @type {any} */
  const answer = await response.json().catch(() => ({}));
  if (response.ok && answer.gestures) return answer.gestures;
  if (response.status === 401) throw new KeyNeeded("This server asks for a key: type it in, then press Check again.");
  if (response.status === 400 && answer.error) throw new Refusal(answer.error);
  throw new Problem(answer.error ?? AWAY);
}
