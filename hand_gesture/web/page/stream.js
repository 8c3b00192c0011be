// A camera's stream: settings, frames, answers in order, and a new connection when the old one breaks.
//
//   const stream = openStream("ws://localhost:3000/stream", {
//     settings: { image_size: [640, 480], hold_ms: 150 },
//     onChange: ({ hand, command }) => act(hand, command),   // once when a gesture begins to hold, and when it ends
//     onState: (state, sentence) => show(state, sentence),   // "open", "away" or "refused"
//   });
//   stream.send(result.landmarks);   // MediaPipe's, for each frame, also where it found no hand
//   stream.close();
//
// Only the newest frame counts: while one is on its way, a newer one takes the place of the one that waits. Frames carry
// their time, so that a network that stalls changes nothing of what holds.

const FIRST_WAIT_MS = 250;
const LONGEST_WAIT_MS = 10_000;
const PATIENCE_MS = 5_000; // for an answer; the server gives up after two seconds
const NONE = "none";
const TIME_BYTES = 8;
const HAND_BYTES = 252;
const NO_CLOSE_CODE = 1006; // RFC 6455, 7.1.5: it ended without a closing handshake
const FORBIDDEN = 403; // the page's origin
// Codes after which the same would happen again: what was sent must change first
const REFUSED = new Set([1002, 1003, 1007, 1008, 1009]);

/**
 * @typedef {{x: number, y: number, z?: number}} Point
 * @typedef {object} Answer for one hand of a frame
 * @property {number} hand a number that stays with the hand
 * @property {string} gesture
 * @property {number} confidence 0 to 1
 * @property {string | null} command
 * @property {string} held
 * @property {boolean} changed whether it held something else before
 * @typedef {{hand: number, held: string, command: string | null}} Change of what a hand holds; "none" also when it left
 * @typedef {{error: string, reason: string}} Failure
 * @typedef {{image_size?: [number, number], hold_ms?: number, key?: string, gestures?: object}} Settings
 * @typedef {"open" | "away" | "refused"} State
 */

/**
 * @param {Point[][]} hands 21 points for each hand
 * @param {number} time of the frame, in milliseconds
 * @returns {ArrayBuffer} 8 bytes, and 252 for each hand
 */
export function encodeFrame(hands, time) {
  const view = new DataView(new ArrayBuffer(TIME_BYTES + HAND_BYTES * hands.length));
  view.setFloat64(0, time, true);
  let offset = TIME_BYTES;
  for (const { x, y, z } of hands.flat()) {
    for (const value of [x, y, z ?? 0]) {
      view.setFloat32(offset, value, true);
      offset += 4;
    }
  }
  return view.buffer;
}

/**
 * @param {number} attempt how many have failed in a row
 * @returns {number} milliseconds to wait: twice as long each time, half of it by chance
 */
export function waitBefore(attempt) {
  const longest = Math.min(FIRST_WAIT_MS * 2 ** attempt, LONGEST_WAIT_MS);
  return longest * (0.5 + Math.random() / 2);
}

/**
 * Browsers do not say why a connection was refused; over HTTP the same address does.
 *
 * @param {string} address
 * @returns {Promise<Failure | null>} null where it was not refused, or cannot be asked
 */
async function whyRefused(address) {
  try {
    const response = await fetch(address.replace(/^ws/, "http"), { cache: "no-store" });
    return response.status === FORBIDDEN ? await response.json() : null;
  } catch {
    return null;
  }
}

/**
 * A callback that throws is reported as any uncaught error is, and does not keep the stream from going on.
 *
 * @template {unknown[]} T
 * @param {(...given: T) => void} [callback]
 * @returns {(...given: T) => void}
 */
function guarded(callback = () => {}) {
  return (...given) => {
    try {
      callback(...given);
    } catch (error) {
      queueMicrotask(() => {
        throw error;
      });
    }
  };
}

/**
 * @param {string} address
 * @param {object} options
 * @param {Settings} [options.settings]
 * @param {(answers: Answer[], milliseconds: number, hands: Point[][]) => void} [options.onAnswer] for each hand of the
 *   frame, in its order, the time that the answer took, and the frame
 * @param {(change: Change) => void} [options.onChange] a hand holds something else than before
 * @param {(failure: Failure) => void} [options.onError] a frame was refused, or the stream is about to be
 * @param {(state: State, sentence: string) => void} [options.onState]
 * @returns {{send: (hands: Point[][]) => void, configure: (settings: Settings) => void, close: () => void}}
 *   `send` takes the hands of a frame, an empty list if it shows none; `configure` goes on with other settings
 */
export function openStream(address, { settings = {}, ...callbacks }) {
  const onAnswer = guarded(callbacks.onAnswer);
  const onChange = guarded(callbacks.onChange);
  const onError = guarded(callbacks.onError);
  const onState = guarded(callbacks.onState);
  /** @type {WebSocket} */
  let socket;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let retry;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let patience;
  /** @type {{hands: Point[][], time: number} | null} */
  let newest = null;
  /** @type {Point[][]} */
  let sent = [];
  let sentAt = 0;
  let wasOpen = false;
  let isWaiting = false;
  let attempt = 0;
  /** @type {Set<number>} */
  const holding = new Set(); // hands

  function flush() {
    if (newest && !isWaiting && socket.readyState === WebSocket.OPEN) {
      socket.send(encodeFrame(newest.hands, newest.time));
      sent = newest.hands;
      newest = null;
      isWaiting = true;
      sentAt = performance.now();
      patience = setTimeout(() => lose("The service does not answer; trying again."), PATIENCE_MS);
    }
  }

  /** @param {Change} entry */
  function change({ hand, held, command }) {
    if (held === NONE) holding.delete(hand);
    else holding.add(hand);
    onChange({ hand, held, command });
  }

  function leave() {
    clearTimeout(retry);
    clearTimeout(patience);
    socket.onopen = socket.onmessage = socket.onerror = socket.onclose = null;
    socket.close(1000);
    newest = null;
    isWaiting = false;
    for (const hand of holding) change({ hand, held: NONE, command: null }); // another connection counts hands anew
  }

  /** @param {string} sentence */
  function lose(sentence) {
    leave();
    onState("away", sentence);
    retry = setTimeout(connect, waitBefore(attempt));
    attempt += 1;
  }

  function connect() {
    socket = new WebSocket(address);
    let isOpen = false;
    socket.onopen = () => {
      isOpen = true;
      socket.send(JSON.stringify({ ...settings, answers: "list" }));
      wasOpen = true;
      onState("open", "");
      flush();
    };
    socket.onmessage = ({ data }) => {
      /** @type {any} */
      let answer;
      try {
        answer = JSON.parse(data);
      } catch {
        lose("What answers is not this service; trying again.");
        return;
      }
      clearTimeout(patience);
      isWaiting = false;
      if (answer.error) {
        onError(answer);
      } else {
        attempt = 0;
        for (const { changed, ...entry } of answer) if (changed) change(entry);
        // Hands that are released with this frame come last, without a gesture
        onAnswer(
          answer.filter((/** @type {Answer} */ { gesture }) => gesture !== null),
          performance.now() - sentAt,
          sent,
        );
      }
      flush();
    };
    const opened = socket;
    let isEnding = false;
    /** @param {{code: number, reason: string}} given */
    const end = async ({ code, reason }) => {
      if (isEnding) return;
      isEnding = true;
      const refusal = wasOpen ? null : await whyRefused(address);
      if (!opened.onclose) return; // left meanwhile
      if (refusal) {
        leave();
        onError(refusal);
        onState("refused", refusal.error);
      } else if (REFUSED.has(code)) {
        leave();
        onState("refused", reason);
      } else {
        lose(reason || "The service cannot be reached; trying again.");
      }
    };
    socket.onclose = end;
    // Chromium tells no more than this of a connection that the page's content security policy forbids
    socket.onerror = () => {
      if (!isOpen) end({ code: NO_CLOSE_CODE, reason: "" });
    };
  }

  connect();
  return {
    send(hands) {
      newest = { hands, time: performance.now() };
      flush();
    },
    configure(changed) {
      settings = changed;
      leave();
      connect();
    },
    close: leave,
  };
}
