// Monkey test: random actions with fault injection, reproducible by seed.
async (seed, steps, savedGestures) => {
  // mulberry32, public domain, by Tommy Ettinger
  let state = seed;
  const random = () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
  const chance = (share) => random() < share;
  const pick = (list) => list[Math.floor(random() * list.length)];
  const wait = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
  const $ = (selector) => document.querySelector(selector);

  let isFailing = true;
  const log = [];
  const tracks = [];
  const sockets = [];
  const workers = [];

  MediaDevices.prototype.getUserMedia = async () => {
    await wait(pick([0, 0, 50, 400]));
    if (isFailing && chance(0.4)) {
      const name = pick(["NotAllowedError", "NotFoundError", "NotReadableError", "OverconstrainedError", "AbortError"]);
      throw new DOMException("at random", name);
    }
    const stream = window.filmStream();
    tracks.push(...stream.getTracks());
    return stream;
  };
  const play = HTMLMediaElement.prototype.play;
  HTMLMediaElement.prototype.play = function () {
    if (!isFailing || chance(0.7)) return play.call(this);
    return Promise.reject(new DOMException("at random", pick(["NotAllowedError", "AbortError", "NotSupportedError"])));
  };
  let isTeachingAway = false;
  const { fetch } = window;
  window.fetch = (...given) =>
    isFailing && isTeachingAway && given[0] === "gestures" ? Promise.reject(new TypeError("at random")) : fetch(...given);
  const decode = window.createImageBitmap;
  window.createImageBitmap = (...given) =>
    isFailing && chance(0.05) ? Promise.reject(new DOMException("at random", "InvalidStateError")) : decode(...given);
  window.Worker = class extends Worker {
    constructor(...given) {
      super(...given);
      workers.push(this);
    }
  };
  window.WebSocket = class extends WebSocket {
    constructor(...given) {
      super(...given);
      sockets.push(this);
    }
  };

  const photo = async () => {
    const canvas = document.createElement("canvas");
    canvas.width = canvas.height = 64;
    canvas.getContext("2d").fillRect(8, 8, 20, 20);
    return new Promise((resolve) => canvas.toBlob(resolve));
  };
  const drop = (content, name = "dropped.png", type = "image/png") => {
    const transfer = new DataTransfer();
    transfer.items.add(new File([content], name, { type }));
    document.dispatchEvent(new DragEvent("drop", { dataTransfer: transfer, cancelable: true }));
  };
  const press = (element) => {
    if (element?.checkVisibility() && !element.disabled) element.click();
  };
  const set = (element, value) => {
    element.value = value;
    for (const type of ["input", "change"]) element.dispatchEvent(new Event(type, { bubbles: true }));
  };
  const actions = {
    start: () => press($("#start")),
    startAgain: () => press($("#start")),
    stop: () => press($("#stop")),
    play: () => press($("#play")),
    gesture: () => press(pick([...document.querySelectorAll("#gestures button")])),
    hold: () => set($("#hold"), String(50 * Math.floor(20 * random()))),
    hands: () => press(pick([...document.querySelectorAll("#most-hands input")])),
    copy: () => press(pick([...document.querySelectorAll("[data-copy]")])),
    camera: () => $("#cameras").dispatchEvent(new Event("change")),
    photo: async () => drop(await photo()),
    text: () => drop("This is no photo."),
    openTeaching: () => press($("#teach-open")),
    closeTeaching: () => press($("#teach-close")),
    nameGesture: () => set($("#teach-name"), pick(["flat", "heart", "like", "", "x".repeat(60)])),
    record: () => press($("#teach-record")),
    escape: () => document.dispatchEvent(new KeyboardEvent("keydown", { key: "Escape" })),
    saved: () => drop(pick([savedGestures, "{}", "["]), "my_gestures.json", "application/json"),
    taught: () => press(pick([...document.querySelectorAll("#taught button")])),
    askAgain: () => press($("#teach-again")),
    teachingFails: () => {
      isTeachingAway = chance(0.5);
    },
    socket: () => sockets.at(-1)?.close(),
    finderDies: () => workers.at(-1)?.dispatchEvent(new ErrorEvent("error", { message: "at random" })),
    cameraGoes: () => tracks.at(-1)?.dispatchEvent(new Event("ended")),
    hide: () => {
      const isHidden = chance(0.5);
      Object.defineProperty(document, "hidden", { value: isHidden, configurable: true });
      document.dispatchEvent(new Event("visibilitychange"));
    },
  };
  for (let step = 0; step < steps; step += 1) {
    const name = pick(Object.keys(actions));
    log.push(name);
    await actions[name]();
    await wait(pick([0, 0, 10, 100, 300]));
  }
  isFailing = false;
  Object.defineProperty(document, "hidden", { value: false, configurable: true });
  document.dispatchEvent(new Event("visibilitychange"));
  window.liveTracks = () => tracks.filter(({ readyState }) => readyState === "live").length;
  return log;
}
