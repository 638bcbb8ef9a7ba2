/** The screen with the real daemon, a real cache and everything between them. */
import { expect, test } from "vitest";
import { startCache } from "../../fixtures/caches/start.ts";
import { built, makeStage } from "../../fixtures/stage.ts";
import { start } from "../../fixtures/terminal/terminal.ts";

test("it starts the daemon, proves, detaches, comes up, and lives through the daemon's end", async () => {
  await using cache = await startCache({ kind: "grpc" });
  await using stage = await makeStage([], {
    grpcPorts: [cache.port],
    httpPorts: [],
    tailnet: { nodes: [{ name: "near", addresses: ["127.0.0.1"], tags: ["tag:bazel-cache"] }] },
  });
  await using top = start([built.flywheel, "top"], { env: { ...stage.env, TERM: "xterm-256color" }, cwd: stage.dir });
  const attached = await top.untilText("L O C A L   P R O O F");
  expect(attached.join("\n")).toContain(`grpc://127.0.0.1:${cache.port}`);
  expect(attached.join("\n")).toContain("local proof: the cache is on this machine; this proves no shared cache");
  expect(attached.join("\n")).toMatch(/near\.\S+/);

  const before = cache.requests().length;
  top.type("r");
  await top.untilText(`Bazel: grpc://127.0.0.1:${cache.port} proved itself`);
  expect(cache.requests().length).toBeGreaterThan(before);

  top.type("d");
  await top.untilText("y/N");
  top.type("y");
  await top.untilText("D E T A C H E D");
  expect((await stage.flywheel(["status"])).exitCode).toBe(3);
  top.type("u");
  await top.untilText("L O C A L   P R O O F");

  await cache.kill();
  await top.untilText("U N A T T A C H E D", 30_000);
  await cache.restart();
  await top.untilText("L O C A L   P R O O F", 30_000);

  await stage.down();
  await top.untilText("N O   D A E M O N");
  await stage.flywheel(["up"]);
  await top.untilText("L O C A L   P R O O F");
  await stage.down();
  await top.untilText("N O   D A E M O N");
  // No other starts it: the person at the keys does.
  top.type("u");
  await top.untilText("L O C A L   P R O O F");
  top.type("q");
  expect((await top.exit()).exitCode).toBe(0);
}, 120_000);

test("where CI is set it starts nothing, and says what would", async () => {
  await using stage = await makeStage([], { grpcPorts: [], httpPorts: [] });
  await using top = start([built.flywheel, "top"], { env: { ...stage.env, CI: "1" }, cwd: stage.dir });
  await top.untilText("N O   D A E M O N");
  const screen = await top.untilText(/^next +flywheel up/);
  expect(screen.join("\n")).toContain("no daemon is running");
  top.type("q");
  await top.exit();
  expect(JSON.parse((await stage.flywheel(["status", "--json"])).stdout)).toMatchObject({ daemon: null });
});
