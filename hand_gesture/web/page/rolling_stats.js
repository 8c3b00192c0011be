// Rate, median and 95th percentile of a measurement over a sliding window.

const WINDOW_SECONDS = 5;
const LINE_POINTS = 40;

export class RollingStats {
  /** @type {{time: number, value: number}[]} */
  #samples = [];

  /** @param {number} value in milliseconds */
  add(value) {
    this.#samples.push({ time: performance.now(), value });
  }

  clear() {
    this.#samples = [];
  }

  /** @returns {{rate: number, p50: number, p95: number, line: number[]}} `rate` per second, `line` the newest
   *   values; zeros and an empty line without samples */
  summary() {
    const now = performance.now();
    this.#samples = this.#samples.filter(({ time }) => time > now - 1000 * WINDOW_SECONDS);
    const values = this.#samples.map(({ value }) => value);
    const sorted = values.toSorted((a, b) => a - b);
    const quantile = (/** @type {number} */ share) => sorted[Math.floor(share * (sorted.length - 1))] ?? 0;
    const span = this.#samples.length > 1 ? now - this.#samples[0].time : 0;
    return {
      rate: span && (1000 * values.length) / span,
      p50: quantile(0.5),
      p95: quantile(0.95),
      line: values.slice(-LINE_POINTS),
    };
  }
}
