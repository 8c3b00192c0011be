// A fake camera for every browser: a canvas stream that loops through stills.
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
    if (window.isFilmPaused) return;
    context.drawImage(images[Math.floor(picture / picturesEach) % images.length], 0, 0);
    picture += 1;
  }, 100);
  window.filmStream = () => canvas.captureStream(10);
  // Patch the prototype, because WebKit may garbage-collect navigator.mediaDevices and create it again
  MediaDevices.prototype.getUserMedia = async () => window.filmStream();
}
