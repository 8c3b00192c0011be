// The server's key, kept by this tab until it is closed.

const NAME = "hand-gestures-key";

/** @type {string | null} where the browser forbids storage to this page */
let fallback = null;

/** @returns {string | null} */
export function readKey() {
  try {
    return sessionStorage.getItem(NAME) ?? fallback;
  } catch {
    return fallback;
  }
}

/** @param {string | null} key null: forget it */
export function keepKey(key) {
  fallback = null;
  try {
    if (key === null) sessionStorage.removeItem(NAME);
    else sessionStorage.setItem(NAME, key);
  } catch {
    fallback = key;
  }
}
