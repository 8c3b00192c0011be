// Code snippets that send a hand to POST /predict.

/** @typedef {import("./stream.js").Point} Point */

const DIGITS = 4;

/**
 * @param {string} url of POST /predict
 * @param {Point[]} hand
 * @param {[number, number]} size of the picture
 * @param {boolean} needsKey adds an Authorization header with a placeholder
 * @returns {{curl: string, python: string, javascript: string}}
 */
export function snippets(url, hand, size, needsKey) {
  const round = (/** @type {number} */ value) => Number(value.toFixed(DIGITS));
  const points = hand.map(({ x, y, z }) => [x, y, z ?? 0].map(round));
  const body = JSON.stringify({ landmarks: points, image_size: size });
  const headers = {
    "Content-Type": "application/json",
    ...(needsKey && { Authorization: "Bearer YOUR_KEY" }),
  };
  const options = Object.entries(headers).map(([name, value]) => `--header '${name}: ${value}'`);
  return {
    curl: `curl ${url} ${options.join(" ")} --data '${body}'\n`,
    python: `import json
import urllib.request

hand = ${body}
headers = ${JSON.stringify(headers)}
request = urllib.request.Request("${url}", json.dumps(hand).encode(), headers)
print(urllib.request.urlopen(request).read().decode())
`,
    javascript: `const hand = ${body};
const headers = ${JSON.stringify(headers)};
const response = await fetch("${url}", { method: "POST", headers, body: JSON.stringify(hand) });
console.log(await response.json());
`,
  };
}
