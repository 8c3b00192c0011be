import {
  type Answer,
  type Change,
  type Gestures,
  openStream,
  type Point,
  type Problem,
  startGestures,
} from "hand-gestures";

const service = new URLSearchParams(location.search).get("service") ?? "";
const moves: string[] = [];
const problems: string[] = [];
const callbacks = {
  onChange({ hand, held, command }: Change) {
    const parts: [number, string] = [hand, held];
    if (parts && command && command !== moves.at(-1)) moves.push(command);
  },
  onProblem: ({ code }: Problem) => problems.push(code),
};
Object.assign(window, {
  moves,
  problems,
  start: (): Promise<Gestures> => startGestures({ service, ...callbacks }),
  openStream: () => openStream({ service, ...callbacks }),
});

// What the types say; never called
export function mistakes(): void {
  // @ts-expect-error: the service has no default here
  startGestures({});
  // @ts-expect-error: milliseconds
  startGestures({ service, holdMs: "150" });
  // @ts-expect-error: no such option
  openStream({ service, video: document.createElement("video") });
  openStream({ service, onFrame: (answers: Answer[], hands: Point[][]) => answers.length + hands.length }).send(
    [],
    [1, 1],
  );
}
