// In place of a camera: a canvas that shows one still after the other, a while each. Every browser can make a stream of it.
async (stills, picturesEach) => {
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
  let picture = 0;
  setInterval(() => {
    context.drawImage(images[Math.floor(picture / picturesEach) % images.length], 0, 0);
    picture += 1;
  }, 100);
  window.filmStream = () => canvas.captureStream(10);
  // Not of navigator.mediaDevices: WebKit may collect that object, and makes a new one
  MediaDevices.prototype.getUserMedia = async () => window.filmStream();
}
