// The server's API key, kept in sessionStorage.

const NAME = "hand-gestures-key";

/** @type {string | null} used where the browser blocks storage */
let fallback = null;

/** @returns {string | null} */
export function readKey() {
  try {
    return sessionStorage.getItem(NAME) ?? fallback;
  } catch {
    return fallback;
  }
}

/** @param {string | null} key null removes it */
export function storeKey(key) {
  fallback = null;
  try {
    if (key === null) sessionStorage.removeItem(NAME);
    else sessionStorage.setItem(NAME, key);
  } catch {
    fallback = key;
  }
}
