// Leak detector: counts the resources that a page has acquired and not released. Must be loaded first.
window.left = (() => {
  // WebKit's driver runs each of a test's expressions with a timer of its own; Playwright sometimes adds its listeners
  // to Firefox's page instead of its own realm
  const isDriver = () => /evaluateJavaScriptFunction|InjectedScript/.test(new Error().stack);
  const tracks = [];
  const sockets = [];
  const locks = [];
  const listeners = [];
  const workers = new Set();
  const timers = new Set();
  const addresses = new Set();

  const { getUserMedia } = MediaDevices.prototype;
  MediaDevices.prototype.getUserMedia = async function (...given) {
    const stream = await getUserMedia.apply(this, given);
    tracks.push(...stream.getTracks());
    return stream;
  };
  if (window.WakeLock) {
    const { request } = WakeLock.prototype;
    WakeLock.prototype.request = async function (...given) {
      const lock = await request.apply(this, given);
      locks.push(lock);
      return lock;
    };
  }
  window.WebSocket = class extends WebSocket {
    constructor(...given) {
      super(...given);
      sockets.push(this);
    }
  };
  window.Worker = class extends Worker {
    constructor(...given) {
      super(...given);
      workers.add(this);
    }
    terminate() {
      super.terminate();
      workers.delete(this);
    }
  };
  const { setTimeout, clearTimeout, setInterval, clearInterval } = window;
  window.setTimeout = (action, ...given) => {
    const id = setTimeout(() => {
      timers.delete(id);
      action();
    }, ...given);
    if (!isDriver()) timers.add(id);
    return id;
  };
  window.setInterval = (...given) => {
    const id = setInterval(...given);
    timers.add(id);
    return id;
  };
  window.clearTimeout = window.clearInterval = (id) => {
    timers.delete(id);
    clearTimeout(id);
    clearInterval(id);
  };
  const { createObjectURL, revokeObjectURL } = URL;
  URL.createObjectURL = (blob) => {
    const address = createObjectURL(blob);
    addresses.add(address);
    return address;
  };
  URL.revokeObjectURL = (address) => {
    addresses.delete(address);
    revokeObjectURL(address);
  };
  for (const target of [document, window]) {
    target.addEventListener = (type, listener, options) => {
      if (!isDriver()) listeners.push({ type, listener, options });
      EventTarget.prototype.addEventListener.call(target, type, listener, options);
    };
    target.removeEventListener = (type, listener, options) => {
      const place = listeners.findIndex((other) => other.type === type && other.listener === listener);
      if (place >= 0) listeners.splice(place, 1);
      EventTarget.prototype.removeEventListener.call(target, type, listener, options);
    };
  }
  return () => ({
    tracks: tracks.filter(({ readyState }) => readyState === "live").length,
    sockets: sockets.filter(({ readyState }) => readyState !== WebSocket.CLOSED).length,
    workers: workers.size,
    timers: timers.size,
    addresses: addresses.size,
    listeners: listeners.filter(({ options }) => !options?.signal?.aborted).length,
    locks: locks.filter(({ released }) => !released).length,
  });
})();
