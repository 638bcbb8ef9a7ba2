/** The prompt of `flywheel login`, on a real terminal: nothing is shown, and the terminal is as it was whatever happens. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { startTerminal, type Terminal } from "../../fixtures/pty-line/pty.ts";
import { type Home, makeHome } from "../flywheel.ts";

let home: Home;
beforeEach(() => {
  home = makeHome();
});
afterEach(() => home.remove());

const url = "https://127.0.0.1:1";
const token = "typed-T0ken.nobody~sees==";
const main = join(import.meta.dirname, "../../../cli/main.ts");
const secrets = () => join(home.state, "credentials");
const kept = (): string => readFileSync(join(secrets(), readdirSync(secrets())[0] ?? ""), "utf8");
const question = /it is not shown\): $/;

/** A sh that has the terminal, and tells how flywheel ended and which modes it left. */
function open(): Terminal {
  const words = [process.execPath, "--disable-warning=ExperimentalWarning", main, "login", url, "--no-verify", "--store", "file"];
  const script = 'stty -g >before; "$@"; echo "code $?"; stty -g >after; cmp before after && echo same modes';
  return startTerminal("sh", ["-c", script, "sh", ...words], { env: home.env, cwd: home.dir });
}

/** @returns the pid of flywheel, once it asks */
async function asked(terminal: Terminal): Promise<number> {
  await terminal.until(question);
  return Number(readFileSync(`/proc/${terminal.pid}/task/${terminal.pid}/children`, "utf8"));
}

test("what is typed is kept, and never shown", async () => {
  await using terminal = open();
  await asked(terminal);
  terminal.write(`wrong\u0015${token}X\u007f\r`);
  const output = await terminal.until(/same modes/);
  expect(output).toMatch(/code 0\r\n/);
  expect(output).not.toContain(token.slice(0, 5));
  expect(output).not.toContain("*");
  expect(kept()).toBe(token);
});

test("a paste arrives whole, longer than a terminal's own line and with its marks", async () => {
  const long = "p".repeat(7000);
  await using terminal = open();
  await asked(terminal);
  terminal.write(`\u001b[200~${long}\u001b[201~\r`);
  const output = await terminal.until(/same modes/);
  expect(output).not.toContain("ppp");
  expect(kept()).toBe(long);
});

test.each([
  ["Ctrl-C", "half-typed\u0003"],
  ["Ctrl-D", "\u0004"],
])("%s: nothing is kept, and the terminal echoes again", async (_, keys) => {
  await using terminal = open();
  await asked(terminal);
  terminal.write(keys);
  const output = await terminal.until(/same modes/);
  expect(output).toMatch(/nothing was kept\r\ncode 1\r\n/);
  expect(output).not.toContain("half-typed");
  expect(existsSync(home.state)).toBe(false);
});

describe.each([
  ["SIGINT", 130],
  ["SIGTERM", 143],
  ["SIGHUP", 129],
  ["SIGQUIT", 131],
] as const)("%s", (signal, code) => {
  test("ends it, and the terminal echoes again", async () => {
    await using terminal = open();
    const pid = await asked(terminal);
    process.kill(pid, signal);
    const output = await terminal.until(/same modes/);
    expect(output).toContain(`code ${code}\r\n`);
    expect(existsSync(home.state)).toBe(false);
  });
});

test("with the question going elsewhere than to a terminal it is not asked", async () => {
  await using terminal = startTerminal("sh", ["-c", '"$@" 2>said; echo "code $?"', "sh", process.execPath, main, "login", url], {
    env: home.env,
    cwd: home.dir,
  });
  await terminal.until(/code 2/);
  expect(readFileSync(join(home.dir, "said"), "utf8")).toContain("the token would be asked for on standard error, which is no terminal");
});
