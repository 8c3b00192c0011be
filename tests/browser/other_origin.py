"""Pages of another origin that load the module, GET /gestures.js."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
COMMANDS = ["up", "down", "right", "left"]
CAME_IN_ORDER = f"moves.join().includes('{','.join(COMMANDS)}')"
NOTHING = {"tracks": 0, "sockets": 0, "workers": 0, "timers": 0, "addresses": 0, "listeners": 0, "locks": 0}

# The five lines of the README, with moves recorded once, also if a busy machine releases a gesture
FIVE_LINES = """
<script>window.moves = []; const move = (command) => command !== moves.at(-1) && moves.push(command);</script>
<script type="module">
  import { startGestures } from "$service/gestures.js";
  await startGestures({ onChange: ({ held, command }) => command && move(command) });
</script>
"""
# The module with all callbacks recorded
ANY = """
<script src="counter.js"></script>
<script type="module">
  import * as module from "$service/gestures.js";
  window.moves = [];
  window.problems = [];
  window.frames = 0;
  window.seen = []; // gestures of the frames, without repetitions
  window.callbacks = {
    onChange: ({ command }) => command && command !== moves.at(-1) && moves.push(command),
    onFrame: (answers, hands) => {
      window.frames += 1;
      window.answers = answers;
      window.hands = hands;
      for (const { gesture } of answers) if (gesture !== seen.at(-1)) seen.push(gesture);
    },
    onProblem: ({ code, message }) => problems.push([code, message]),
  };
  window.start = (options = {}) => module.startGestures({ ...callbacks, ...options });
  window.openStream = (options = {}) => module.openStream({ ...callbacks, ...options });
</script>
"""

# When the first answer came, in milliseconds from the beginning of the visit
FIRST_ANSWER = """
<script type="module">
  import { startGestures } from "$service/gestures.js";
  await startGestures({ onFrame: () => { window.milliseconds ??= performance.now(); } });
</script>
"""
# The same for MediaPipe alone: the camera, its files, and a search
FIRST_SEARCH = """
<video id="video"></video>
<script type="module">
  import { loadLandmarker } from "$page/landmarker.js";
  const opened = navigator.mediaDevices.getUserMedia({ video: true });
  const loaded = loadLandmarker("$mediapipe", 2);
  video.srcObject = await opened;
  await video.play();
  await (await loaded).find(await createImageBitmap(video), performance.now(), false);
  window.milliseconds = performance.now();
</script>
"""


@dataclass
class Site:
    """Pages of another origin."""

    url: str
    folder: Path

    def page(self, content: str, service: str, name: str = "index.html") -> str:
        """Write a page and return its address."""
        head = '<!doctype html><meta charset="utf-8"><title>Game</title><link rel="icon" href="data:,">'
        (self.folder / name).write_text(head + content.replace("$service", service))
        return f"{self.url}/{name}"
