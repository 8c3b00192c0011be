// Records stills as a WebM video, alternately two and 0.6 seconds each, and returns it in base64.
async (stills) => {
  const images = await Promise.all(
    stills.map(async (still) => {
      const image = new Image();
      image.src = `data:image/jpeg;base64,${still}`;
      await image.decode();
      return image;
    }),
  );
  const canvas = document.createElement("canvas");
  canvas.width = images[0].naturalWidth;
  canvas.height = images[0].naturalHeight;
  const context = canvas.getContext("2d");
  context.drawImage(images[0], 0, 0);
  const recorder = new MediaRecorder(canvas.captureStream(15), { mimeType: "video/webm;codecs=vp8" });
  const parts = [];
  recorder.ondataavailable = ({ data }) => parts.push(data);
  const ended = new Promise((resolve) => {
    recorder.onstop = resolve;
  });
  recorder.start();
  for (const [index, image] of images.entries()) {
    const end = performance.now() + (index % 2 ? 600 : 2000);
    while (performance.now() < end) {
      context.drawImage(image, 0, 0);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
  recorder.stop();
  await ended;
  const bytes = new Uint8Array(await new Blob(parts).arrayBuffer());
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return btoa(text);
}
