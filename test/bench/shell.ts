/** What `flywheel shell` adds to the shell in it: to its start, to a key's echo, and to 50 MB of output. In turns, in one run. */
import { startInPty } from "../../cli/shell/pty.ts";
import { makeHouse, prompt } from "../cli/shell/house.ts";
import { built } from "../fixtures/stage.ts";
import { median } from "./measure.ts";

const rounds = 7;
const keys = 200;
const megabytes = 50;

type Name = "plain" | "within";
const argv = { plain: ["/usr/bin/bash"], within: [built.flywheel, "shell"] } as const;
const taken = { plain: { start: [], echo: [], output: [] }, within: { start: [], echo: [], output: [] } } as Record<
  Name,
  Record<"start" | "echo" | "output", number[]>
>;

using house = makeHouse();
house.write("long", `${"x".repeat(79)}\n`.repeat((megabytes * 1_000_000) / 80));

for (let round = -1; round < rounds; round += 1) {
  // Every other round the other one first; round -1 warms the caches.
  for (const name of (["plain", "within"] as const).toSorted(() => (round % 2 === 0 ? 1 : -1))) {
    const took = await session(argv[name]);
    if (round < 0) continue;
    for (const what of ["start", "echo", "output"] as const) taken[name][what].push(took[what]);
  }
}

const print = (what: string, of: "start" | "echo" | "output", figure: (ms: number) => string): void => {
  const [plain, within] = [median(taken.plain[of]), median(taken.within[of])];
  const ratio = (within / plain).toFixed(2);
  process.stdout.write(`${what.padEnd(38)} ${figure(within).padStart(12)}   bash alone ${figure(plain).padStart(12)}   ${ratio} ×\n`);
};
print("from its start to its prompt", "start", (ms) => `${ms.toFixed(0)} ms`);
print(`a key's echo, median of ${keys}`, "echo", (ms) => `${(ms * 1000).toFixed(0)} µs`);
print(`${megabytes} MB out`, "output", (ms) => `${((megabytes * 1000) / ms).toFixed(1)} MB/s`);

/** Milliseconds each. */
async function session([file, ...args]: readonly [string, ...string[]]): Promise<Record<"start" | "echo" | "output", number>> {
  const began = performance.now();
  const env = { ...house.env, SHELL: "/usr/bin/bash" };
  const { stream, keys: input, ended } = startInPty({ file, args, env, cwd: house.dir }, { columns: 80, rows: 24 });
  // A pty whose program has ended says EIO.
  stream.on("error", () => {});
  let seen = "";
  let look = (): void => {};
  stream.on("data", (chunk: Buffer) => {
    seen = (seen + chunk.toString("latin1")).slice(-200);
    look();
  });
  /** Until the output holds that; what came before is forgotten. */
  const until = (text: string): Promise<void> =>
    new Promise((resolve) => {
      look = () => {
        if (!seen.includes(text)) return;
        seen = "";
        look = () => {};
        resolve();
      };
      look();
    });
  await until(prompt);
  const start = performance.now() - began;
  const echoes: number[] = [];
  for (let at = 0; at < keys; at += 1) {
    const typed = performance.now();
    input.write("k");
    await until("k");
    echoes.push(performance.now() - typed);
  }
  // Ctrl-U: the line is not for running. The end is in two words, so that its echo is not taken for it.
  input.write("\x15");
  const asked = performance.now();
  input.write("cat long; echo en''d-of-it\r");
  await until("end-of-it");
  const output = performance.now() - asked;
  input.write("exit\r");
  await ended;
  stream.destroy();
  return { start, echo: median(echoes), output };
}
