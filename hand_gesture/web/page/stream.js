// Client of the WebSocket stream (docs/stream.md): sends frames, receives answers, reconnects with exponential backoff.
//
//   const stream = openStream("ws://localhost:3000/stream", {
//     settings: { image_size: [640, 480], hold_ms: 150 },
//     onChange: ({ hand, command }) => act(hand, command),   // when a gesture becomes held, and when it is released
//     onState: (state, sentence) => show(state, sentence),   // "open", "away" or "refused"
//   });
//   stream.send(result.landmarks);   // MediaPipe's, for each frame, also without hands
//   stream.close();
//
// Backpressure: one frame is in flight at a time, and only the newest waits. Frames carry timestamps, so that network
// delays do not affect how long a gesture was held.

const FIRST_WAIT_MS = 250;
const LONGEST_WAIT_MS = 10_000;
const CONNECTING_TIMEOUT_MS = 10_000; // browsers wait for minutes
const ANSWER_TIMEOUT_MS = 5_000; // longer than the server's own timeout of two seconds
const LEARNING_TIMEOUT_MS = 20_000; // of the first answer with custom gestures: the server has 15 seconds to learn them
const UNREACHABLE = "The service cannot be reached; trying again.";
const NONE = "none";
const TIME_BYTES = 8;
const HAND_BYTES = 252;
const NO_CLOSE_CODE = 1006; // closed without a close handshake, RFC 6455, 7.1.5
const FORBIDDEN = 403; // the page's origin
// Close codes of errors that a reconnect would repeat
const REFUSED = new Set([1002, 1003, 1007, 1008, 1009]);

/**
 * @typedef {{x: number, y: number, z?: number}} Point
 * @typedef {object} Answer for one hand of a frame
 * @property {number} hand ID, stable while the hand is tracked
 * @property {string} gesture
 * @property {number} confidence 0 to 1
 * @property {string | null} command
 * @property {string} held
 * @property {boolean} changed whether `held` differs from the frame before
 * @typedef {{hand: number, held: string, command: string | null}} Change "none" also when the hand leaves
 * @typedef {{error: string, reason: string}} Failure
 * @typedef {{image_size?: [number, number], hold_ms?: number, key?: string, gestures?: object}} Settings
 * @typedef {"open" | "away" | "refused"} State
 */

/**
 * @param {Point[][]} hands 21 points each
 * @param {number} time of the frame, in milliseconds
 * @returns {ArrayBuffer} little-endian: a float64, then 63 float32 for each hand
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
 * @param {number} attempt failures in a row
 * @returns {number} milliseconds: exponential backoff with up to 50 % jitter
 */
export function waitBefore(attempt) {
  const longest = Math.min(FIRST_WAIT_MS * 2 ** attempt, LONGEST_WAIT_MS);
  return longest * (0.5 + Math.random() / 2);
}

/**
 * Fetches the reason over HTTP, because browsers hide the response to a refused WebSocket handshake.
 *
 * @param {string} address
 * @returns {Promise<Failure | null>} null if it was not refused, or the request failed
 */
async function whyRefused(address) {
  try {
    const response = await fetch(address.replace(/^ws/, "http"), {
      cache: "no-store",
      signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS),
    });
    return response.status === FORBIDDEN ? await response.json() : null;
  } catch {
    return null;
  }
}

/**
 * Calls back until the stream is closed. Exceptions are reported as uncaught errors, so that they do not break the stream.
 *
 * @template {unknown[]} T
 * @param {() => boolean} isClosed
 * @param {(...given: T) => void} [callback]
 * @returns {(...given: T) => void}
 */
export function guarded(isClosed, callback = () => {}) {
  return (...given) => {
    if (isClosed()) return;
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
 * @param {(answers: Answer[], milliseconds: number, hands: Point[][]) => void} [options.onAnswer] one answer
 *   for each hand, in the frame's order, the round-trip time, and the frame's hands
 * @param {(change: Change) => void} [options.onChange] a hand's held gesture changed
 * @param {(failure: Failure) => void} [options.onError] the service rejected a frame, or will close the stream
 * @param {(state: State, sentence: string) => void} [options.onState]
 * @returns {{send: (hands: Point[][]) => void, close: () => void}} `send` takes the hands of a frame, `[]` without hands
 */
export function openStream(address, { settings = {}, ...callbacks }) {
  let isClosed = false;
  const closed = () => isClosed;
  const onAnswer = guarded(closed, callbacks.onAnswer);
  const onChange = guarded(closed, callbacks.onChange);
  const onError = guarded(closed, callbacks.onError);
  const onState = guarded(closed, callbacks.onState);
  /** @type {WebSocket} */
  let socket;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let retry;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timeout;
  /** @type {{hands: Point[][], time: number} | null} */
  let newest = null;
  /** @type {Point[][]} */
  let sent = [];
  let sentAt = 0;
  let wasOpen = false;
  let isWaiting = false;
  let isLearning = false;
  let attempt = 0;
  /** @type {Set<number>} */
  const holding = new Set(); // IDs of hands with a held gesture

  function flush() {
    if (newest && !isWaiting && socket.readyState === WebSocket.OPEN) {
      socket.send(encodeFrame(newest.hands, newest.time));
      sent = newest.hands;
      newest = null;
      isWaiting = true;
      sentAt = performance.now();
      const limit = isLearning ? LEARNING_TIMEOUT_MS : ANSWER_TIMEOUT_MS;
      timeout = setTimeout(() => reconnect("The service does not answer; trying again."), limit);
    }
  }

  /** @param {Change} entry */
  function change({ hand, held, command }) {
    if (held === NONE) holding.delete(hand);
    else holding.add(hand);
    onChange({ hand, held, command });
  }

  function disconnect() {
    clearTimeout(retry);
    clearTimeout(timeout);
    socket.onopen = socket.onmessage = socket.onerror = socket.onclose = null;
    socket.close(1000);
    newest = null;
    isWaiting = false;
    for (const hand of holding) change({ hand, held: NONE, command: null }); // hand IDs are per connection
  }

  /** @param {string} sentence */
  function reconnect(sentence) {
    disconnect();
    onState("away", sentence);
    if (isClosed) return; // by a callback
    retry = setTimeout(connect, waitBefore(attempt));
    attempt += 1;
  }

  function connect() {
    socket = new WebSocket(address);
    isLearning = Boolean(settings.gestures);
    timeout = setTimeout(() => reconnect(UNREACHABLE), CONNECTING_TIMEOUT_MS);
    let isOpen = false;
    socket.onopen = () => {
      clearTimeout(timeout);
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
        reconnect("What answers is not this service; trying again.");
        return;
      }
      clearTimeout(timeout);
      isWaiting = isLearning = false;
      if (answer.error) {
        onError(answer);
      } else {
        attempt = 0;
        const [hands, milliseconds] = [sent, performance.now() - sentAt]; // before a callback sends the next frame
        for (const { changed, ...entry } of answer) if (changed) change(entry);
        // Hands that left are appended without a gesture, only to report the release
        onAnswer(
          answer.filter((/** @type {Answer} */ { gesture }) => gesture !== null),
          milliseconds,
          hands,
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
      clearTimeout(timeout);
      const refusal = wasOpen ? null : await whyRefused(address);
      if (!opened.onclose) return; // closed while it was fetched
      if (refusal) {
        disconnect();
        onError(refusal);
        onState("refused", refusal.error);
      } else if (REFUSED.has(code)) {
        disconnect();
        onState("refused", reason);
      } else {
        reconnect(reason || UNREACHABLE);
      }
    };
    socket.onclose = end;
    // Chromium fires only `error` if the page's content security policy blocks the connection
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
    close() {
      disconnect();
      isClosed = true;
    },
  };
}
