// Figures of the last seconds: how many a second, the usual and the slow ones.

const SECONDS = 5;
const POINTS = 40;

export class Figures {
  /** @type {{time: number, value: number}[]} */
  #seen = [];

  /** @param {number} value in milliseconds */
  add(value) {
    this.#seen.push({ time: performance.now(), value });
  }

  clear() {
    this.#seen = [];
  }

  /** @returns {{rate: number, p50: number, p95: number, line: number[]}} all 0 and no line, where there was nothing */
  summary() {
    const now = performance.now();
    this.#seen = this.#seen.filter(({ time }) => time > now - 1000 * SECONDS);
    const values = this.#seen.map(({ value }) => value);
    const sorted = values.toSorted((a, b) => a - b);
    const quantile = (/** @type {number} */ share) => sorted[Math.floor(share * (sorted.length - 1))] ?? 0;
    const span = this.#seen.length > 1 ? now - this.#seen[0].time : 0;
    return {
      rate: span && (1000 * values.length) / span,
      p50: quantile(0.5),
      p95: quantile(0.95),
      line: values.slice(-POINTS),
    };
  }
}
