import {
  type Answer,
  type Change,
  type Gestures,
  loadFinder,
  openStream,
  type Point,
  type Problem,
  startGestures,
} from "hand-gestures";

const service = new URLSearchParams(location.search).get("service") ?? "";
const moves: string[] = [];
const problems: string[] = [];
const callbacks = {
  onChange({ command }: Change) {
    if (command && command !== moves.at(-1)) moves.push(command);
  },
  onFrame(answers: Answer[], hands: Point[][]) {
    if (answers.length !== hands.length) problems.push("answers that are not the hands'");
  },
  onProblem: ({ code }: Problem) => problems.push(code),
};
Object.assign(window, {
  moves,
  problems,
  start: (): Promise<Gestures> =>
    startGestures({ service: service && new URL(service, document.baseURI), ...callbacks }),
  openStream: () => openStream({ service, ...callbacks }),
});

// What the types allow beyond that; never called
export function others(): void {
  startGestures({ service, finder: loadFinder({ service, hands: 1 }) });
}

// What the types refuse; never called
export function mistakes(): void {
  // @ts-expect-error: the service has no default here
  startGestures({});
  // @ts-expect-error: milliseconds
  startGestures({ service, holdMs: "150" });
  // @ts-expect-error: the service says that itself
  startGestures({ service, finder: "mediapipe" });
  // @ts-expect-error: no such option
  openStream({ service, video: document.createElement("video") });
}
