/** Versions of the daemon, and what is made of a socket behind which another one stands. */
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, expect, onTestFinished, test } from "vitest";
import { apiVersion } from "../../../contract/api.ts";
import { type Paths, socketPath } from "../../../contract/paths.ts";
import { version } from "../../../contract/version.ts";
import { ensureDaemon } from "../../../daemon/api/client/autostart.ts";
import { DaemonClient } from "../../../daemon/api/client/connection.ts";
import { isNewer, skewOf } from "../../../daemon/api/client/skew.ts";

let dir: string;
let paths: Paths;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "gf-skew-"));
  paths = { config: join(dir, "config"), state: join(dir, "state"), runtime: join(dir, "run") };
  mkdirSync(paths.runtime, { mode: 0o700 });
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

test("versions are compared by their numbers; what is no version is left in peace", () => {
  const newer: readonly (readonly [string, string, boolean])[] = [
    ["0.10.0", "0.9.9", true],
    ["1.0.0", "0.99.99", true],
    ["1.0.1", "1.0.0", true],
    ["1.0.0", "1.0.0", false],
    ["1.0.0", "1.0.0-rc.1", false],
    ["1.0.0+a", "1.0.0+b", false],
    ["1.0", "0.9.0", false],
    ["2.0.0", "", false],
    ["2.0.0", "unknown", false],
  ];
  for (const [one, than, expected] of newer) expect([one, than, isNewer(one, than)]).toEqual([one, than, expected]);
  expect(skewOf({ api: apiVersion, version })).toBe("fits");
  expect(skewOf({ api: apiVersion, version: "0.0.0" })).toBe("older");
  expect(skewOf({ api: apiVersion, version: "999.0.0" })).toBe("fits");
  expect(skewOf({ api: apiVersion - 1, version: "999.0.0" })).toBe("older");
  expect(skewOf({ api: apiVersion + 1, version: "0.0.0" })).toBe("too-new");
});

test("of two versions at most one takes the other's place: no to and fro", () => {
  const text = fc.tuple(fc.nat(3), fc.nat(3), fc.nat(3)).map((numbers) => numbers.join("."));
  fc.assert(
    fc.property(text, text, text, (one, two, three) => {
      expect(isNewer(one, two) && isNewer(two, one)).toBe(false);
      if (isNewer(one, two) && isNewer(two, three)) expect(isNewer(one, three)).toBe(true);
    }),
  );
});

interface Answer {
  readonly api: string;
  readonly hello: unknown;
  /** How often it was asked to stop. */
  stops: number;
}

/** A server of this process's own in the daemon's place. */
async function standIn(api: string, hello: unknown): Promise<Answer> {
  const answer: Answer = { api, hello, stops: 0 };
  const server = createServer((request, response) => {
    if (request.url === "/v1/stop") answer.stops += 1;
    response.setHeader("flywheel-api", api).end(JSON.stringify(request.url === "/v1/hello" ? hello : {}));
  }).listen(socketPath(paths));
  await once(server, "listening");
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  return answer;
}

test("an older daemon that says yes and stays: asked three times at most, never signalled, and said", async () => {
  // This process's own pid: a signal would be noticed.
  const answer = await standIn("0", { api: 0, pid: process.pid, version: "0.0.1", startedAt: "" });
  const from = performance.now();
  const result = await ensureDaemon(paths);
  expect(result).toMatchObject({
    result: "failed",
    code: "daemon-start-failed",
    message: `the running daemon is flywheel 0.0.1, older than this flywheel ${version}, and did not give way in 3 tries (pid ${process.pid})`,
  });
  expect(answer.stops).toBe(3);
  expect(performance.now() - from).toBeLessThan(5_000);
});

test("… also where it has written its pid down, which is waited for only once", async () => {
  writeFileSync(join(paths.runtime, "daemon.pid"), `${process.pid}\n`);
  await standIn("0", { api: 0, pid: process.pid, version: "0.0.1", startedAt: "" });
  const from = performance.now();
  expect(await ensureDaemon(paths)).toMatchObject({ result: "failed", next: expect.stringMatching(/pgrep/) });
  expect(performance.now() - from).toBeLessThan(6_000);
});

test("a newer API than ours is said with both versions and where it lies; hello and stop work all the same", async () => {
  const answer = await standIn("9", {
    api: 9,
    pid: 77,
    version: "9.9.9\u001b[2J",
    startedAt: "",
    entry: "/opt/new/flywheeld.js",
    more: true,
  });
  const daemon = new DaemonClient(paths);
  expect(await daemon.hello()).toEqual({
    api: 9,
    pid: 77,
    version: "9.9.9",
    startedAt: "",
    entry: "/opt/new/flywheeld.js",
    startedBy: "flywheel",
  });
  const words = `(9, not ${apiVersion}): flywheel 9.9.9 (/opt/new/flywheeld.js); this is flywheel ${version}`;
  await expect(daemon.status("default")).rejects.toMatchObject({ code: "protocol", message: expect.stringContaining(words) });
  expect(await ensureDaemon(paths)).toMatchObject({ result: "failed", code: "protocol", message: expect.stringContaining("too new") });
  expect(answer.stops).toBe(0);
  await daemon.stop({ pid: 77 });
  expect(answer.stops).toBe(1);
});

test("what is no flywheeld is not taken for one", async () => {
  for (const hello of [null, 7, "x", [], {}, { api: "1", pid: 7 }, { api: 1, pid: -1 }, { api: 1, pid: 1.5 }]) {
    const answer = await standIn("1", hello);
    await expect(new DaemonClient(paths).hello()).rejects.toMatchObject({
      code: "protocol",
      message: expect.stringContaining("is no flywheeld"),
    });
    expect(await ensureDaemon(paths)).toMatchObject({ result: "failed", code: "protocol" });
    expect(answer.stops).toBe(0);
    rmSync(socketPath(paths));
  }
});
