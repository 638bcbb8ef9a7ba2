import { spawn } from "node:child_process";
import { once } from "node:events";
import { appendFileSync, renameSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type Home, makeHome } from "./flywheel.ts";

let home: Home;
beforeEach(() => {
  home = makeHome();
});
afterEach(() => home.remove());

const line = (level: number, msg: string, more: object = {}) => `${JSON.stringify({ level, time: 1_790_000_000_000, msg, ...more })}\n`;

describe("logs", () => {
  test("the last lines, readable, with control characters taken out", async () => {
    home.write(
      "state/daemon.log",
      `${line(30, "first") + line(40, "a \u001b[2Jb", { endpoint: "grpc://x\u0007:1" })}not JSON \u001b[31m\n`,
    );
    const { exitCode, stdout } = await home.flywheel(["logs", "-n", "2"]);
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d warn {2}a b endpoint=grpc:\/\/x:1\nnot JSON \n$/);
  });

  test("--json gives the lines as they are", async () => {
    home.write("state/daemon.log", line(30, "first") + line(30, "second"));
    expect((await home.flywheel(["logs", "--json", "-n", "1"])).stdout).toBe(line(30, "second"));
  });

  test("no log: 1, and what next", async () => {
    const { exitCode, stderr } = await home.flywheel(["logs"]);
    expect(exitCode).toBe(1);
    expect(stderr).toContain(`there is no log at ${home.state}/daemon.log\n  next: flywheel up`);
  });

  test("-f goes on, over a rotation too", async () => {
    const file = home.write("state/daemon.log", line(30, "first"));
    const child = spawn(process.execPath, [join(import.meta.dirname, "../../cli/main.ts"), "logs", "-f"], {
      env: home.env,
      stdio: ["ignore", "pipe", "inherit"],
    });
    const exited = once(child, "exit");
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    const next = async () => String((await lines.next()).value);
    try {
      expect(await next()).toContain("first");
      appendFileSync(file, line(30, "second").slice(0, 20));
      appendFileSync(file, line(30, "second").slice(20));
      expect(await next()).toContain("second");
      renameSync(file, `${file}.1`);
      home.write("state/daemon.log", line(30, "third"));
      expect(await next()).toContain("third");
    } finally {
      child.kill("SIGINT");
    }
    expect((await exited)[1]).toBe("SIGINT");
  });
});
