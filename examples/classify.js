/**
 * Classifies a hand with POST /predict.
 *
 * @param {string} service  URL of the service, e.g. "http://localhost:3000"
 * @param {{x: number, y: number, z: number}[]} landmarks  one hand as MediaPipe's HandLandmarker gives it
 * @param {[number, number]} imageSize  width and height of the video in pixels, for the hand's aspect ratio
 * @returns {Promise<{gesture: string, confidence: number, command: string | null}>}
 * @throws {Error} with the service's error message, or if there is no answer within five seconds
 */
export async function classify(service, landmarks, imageSize) {
  const response = await fetch(`${service}/predict`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ landmarks, image_size: imageSize }),
    signal: AbortSignal.timeout(5000),
  });
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.error);
  return answer;
}
