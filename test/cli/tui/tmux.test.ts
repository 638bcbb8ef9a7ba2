/** Under a real tmux: drawn, typed to, resized, left as it was found; and copying reaches the terminal outside. */
import { execa } from "execa";
import { expect, test } from "vitest";
import { programOnPath, required } from "../../fixtures/peers.ts";
import { built } from "../../fixtures/stage.ts";
import { start, type TestTerminal } from "../../fixtures/terminal/terminal.ts";
import { type ToldDaemon, toldDaemon } from "./daemon.ts";
import { attached } from "./reports.ts";

interface Tmux extends AsyncDisposable {
  /** The terminal that tmux itself draws on. */
  readonly outside: TestTerminal;
  run(...args: readonly string[]): Promise<string>;
  /** What tmux says that its pane shows. */
  pane(): Promise<string[]>;
}

async function tmuxOf(path: string, daemon: ToldDaemon): Promise<Tmux> {
  const socket = `${daemon.dir}/tmux`;
  const env = { ...daemon.env, TERM: "xterm-256color" };
  const run = async (...args: readonly string[]): Promise<string> =>
    (await execa(path, ["-S", socket, "-f", "/dev/null", ...args], { env, extendEnv: false, cwd: daemon.dir })).stdout;
  // -u: the pane's letters are UTF-8, whatever the locale is called.
  const outside = start([path, "-u", "-S", socket, "-f", "/dev/null", "new-session", "-x", "80", "-y", "24", "/bin/sh"], {
    env: { ...env, PS1: "$ " },
    cwd: daemon.dir,
    rows: 25,
  });
  await outside.untilText(/^[$#]/);
  await run("set-option", "-g", "allow-passthrough", "on");
  return {
    outside,
    run,
    pane: async () => (await run("capture-pane", "-p")).split("\n"),
    [Symbol.asyncDispose]: async () => {
      await run("kill-server");
      await outside.exit();
    },
  };
}

test("in tmux it draws, hears keys, follows a resize, copies, and leaves the pane as it was", async ({ skip }) => {
  const path = required(programOnPath("tmux"), skip);
  await using daemon = await toldDaemon(attached);
  await using tmux = await tmuxOf(path, daemon);
  const { outside, run } = tmux;
  await run("send-keys", `${built.flywheel} top`, "Enter");
  await outside.untilText("pid 4242");
  expect((await tmux.pane())[2]).toContain("✓  A T T A C H E D");
  await run("send-keys", "?");
  await outside.untilText(/^ Keys/);
  await run("send-keys", "Escape");
  await outside.untilText("Candidates 5");
  outside.resize({ cols: 60, rows: 16 });
  await outside.untilText("not shown:");
  expect((await tmux.pane()).filter((row) => row.includes("? help"))).toHaveLength(1);
  outside.resize({ cols: 80, rows: 25 });
  await outside.untilText("refusals");
  await run("send-keys", "Left", "c");
  await outside.untilText("sent to the clipboard (OSC 52): grpc://100.64.0.7:9092");
  // Through tmux, without its wrapping, at the terminal that the person sits at.
  expect(outside.written).toContain(`\u001b]52;c;${Buffer.from("grpc://100.64.0.7:9092").toString("base64")}`);
  await run("send-keys", "q");
  await outside.until("the shell", (screen) => screen[0]?.includes("flywheel top") === true && /^[$#]/.test(screen[1] ?? ""));
  expect((await tmux.pane()).join("")).not.toContain("pid 4242");
  expect(await run("display-message", "-p", "#{cursor_flag} #{alternate_on}")).toBe("1 0");
});
