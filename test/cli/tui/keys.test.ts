/** What each key does, typed into a real terminal. */
import { expect, test } from "vitest";
import type { StatusReport } from "../../../contract/api.ts";
import { toldDaemon } from "./daemon.ts";
import { attached, unattachedAt } from "./reports.ts";

const keys = { up: "\u001b[A", down: "\u001b[B", right: "\u001b[C", left: "\u001b[D", escape: "\u001b", enter: "\r", tab: "\t" } as const;

/** The row that is chosen. */
function chosen(screen: readonly string[]): string | undefined {
  return screen.find((row) => row.startsWith("▸ "));
}

test("? lists the keys; Esc and ? come back", async () => {
  await using daemon = await toldDaemon(attached);
  await using top = daemon.top();
  await top.untilText("pid 4242");
  top.type("?");
  await top.untilText(/^ Keys/);
  expect(top.screen().join("\n")).toMatch(/Ctrl-Z +suspend/);
  top.type(keys.escape);
  await top.untilText("Candidates 5");
  top.type("?");
  await top.untilText(/^ Keys/);
  top.type("?");
  await top.untilText("Candidates 5");
});

test("arrows and j k choose, Tab and the sideways arrows change the pane, Enter tells everything, Esc comes back", async () => {
  const reason = "nothing listens on 100.64.0.7:9092 (connection refused)";
  await using daemon = await toldDaemon(unattachedAt("connect"));
  await using top = daemon.top();
  await top.until("the first candidate", (screen) => chosen(screen)?.includes("grpc://100.64.0.7:9092") === true);
  top.type("j");
  await top.until("the second", (screen) => chosen(screen)?.includes("http://100.64.0.7:8080") === true);
  top.type(keys.up);
  await top.until("the first again", (screen) => chosen(screen)?.includes("grpc://100.64.0.7:9092") === true);
  // The row has no room for the whole of it.
  expect(chosen(top.screen())).not.toContain(reason);
  top.type(keys.enter);
  const detail = await top.untilText(/^ Candidate/);
  expect(detail.join("\n")).toContain(`reason     ${reason}`);
  expect(detail.join("\n")).toContain("✓ resolve, ✓ route, ✗ connect, · handshake");
  top.type(keys.escape);
  await top.until("back", (screen) => chosen(screen) !== undefined);
  top.type(keys.tab);
  await top.until("a build", (screen) => chosen(screen)?.includes("bazel build") === true);
  top.type("j");
  await top.until("the next build", (screen) => chosen(screen)?.includes("bazel test") === true);
  top.type(keys.enter);
  const build = await top.untilText(/^ Build/);
  expect(build.join("\n")).toContain("doubt      a disk cache may have answered them");
  expect(build.join(" ")).toMatch(/12 hits, 0 from another cache, 88 misses \(88 of them here\), 4 +internal/);
  top.type(keys.escape);
  await top.until("back at the builds", (screen) => chosen(screen)?.includes("bazel test") === true);
  top.type(keys.left);
  await top.until("the candidates", (screen) => chosen(screen)?.includes("grpc://") === true);
});

test("/ filters candidates and builds while it is typed; Esc shows all again", async () => {
  await using daemon = await toldDaemon(attached);
  await using top = daemon.top();
  await top.untilText("Candidates 5");
  top.type("/standby");
  await top.untilText("Candidates 0 with “standby”");
  top.type("\u0015");
  top.type("gadgets");
  const screen = await top.untilText("Builds 1 with “gadgets”");
  expect(screen.join("\n")).toContain("bazel test");
  top.type(keys.enter);
  await top.untilText("? help");
  top.type(keys.escape);
  await top.untilText("Candidates 5");
  expect(top.screen().join("\n")).not.toContain("gadgets”");
});

test("r proves now: it turns until the answer is there, and says what came of it", async () => {
  await using daemon = await toldDaemon(attached);
  const answer = Promise.withResolvers<StatusReport>();
  daemon.verifying = () => answer.promise;
  await using top = daemon.top();
  await top.untilText("pid 4242");
  top.type("r");
  const turning = /^[⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏] proving the attachment …/;
  const first = (await top.untilText(turning)).find((row) => turning.test(row));
  await top.until("it turns", (screen) => screen.some((row) => turning.test(row) && row !== first));
  answer.resolve(attached);
  await top.untilText("grpc://100.64.0.7:9092 proved itself in 1.8 ms");
  expect(daemon.asked).toEqual(["verify"]);
});

test("what came of it goes with the daemon", async () => {
  await using daemon = await toldDaemon(attached);
  await using top = daemon.top();
  await top.untilText("pid 4242");
  top.type("r");
  await top.untilText("proved itself in 1.8 ms");
  await daemon.down();
  const screen = await top.untilText("N O   D A E M O N");
  expect(screen.join("\n")).not.toContain("proved itself");
});

test("a asks for an endpoint, says what is wrong with one, and attaches after a yes", async () => {
  await using daemon = await toldDaemon(attached);
  await using top = daemon.top();
  await top.untilText("pid 4242");
  top.type("a");
  await top.untilText("attach Bazel:");
  top.type("ftp://cache");
  top.type(keys.enter);
  await top.untilText("the scheme must be one of grpc, grpcs, http, https");
  top.type("\u0015");
  top.type(keys.tab);
  await top.untilText("attach Nix:");
  // As a terminal brackets what is pasted.
  top.type("\u001b[200~https://cache.example.org/mine\n\u001b[201~");
  await top.untilText("attach Nix: https://cache.example.org/mine");
  top.type(keys.enter);
  await top.untilText("attach Nix to https://cache.example.org/mine? y/N");
  expect(daemon.asked).toEqual([]);
  top.type("y");
  await top.untilText("proved itself in 1.5 ms");
  expect(daemon.asked).toEqual(["attach nix https://cache.example.org/mine"]);
});

test("a refused attach says why, and that it is kept", async () => {
  await using daemon = await toldDaemon(attached);
  daemon.attaching = ({ endpoint }) =>
    Promise.resolve({ ok: false, endpoint, rung: "connect", reason: "nobody listens", next: "start it" });
  await using top = daemon.top();
  await top.untilText("pid 4242");
  top.type("agrpc://cache.example.org:9092");
  await top.untilText("attach Bazel: grpc://cache.example.org:9092");
  top.type(keys.enter);
  await top.untilText("y/N");
  top.type("y");
  await top.untilText("kept, but not attached: connect: nobody listens; next: start it");
});

test("d detaches after a yes, and not after anything else; u ends that", async () => {
  await using daemon = await toldDaemon(attached);
  await using top = daemon.top();
  await top.untilText("pid 4242");
  top.type("d");
  await top.untilText("detach? heavy commands fail until you press u");
  top.type(keys.enter);
  await top.untilText("? help");
  top.type("d");
  await top.untilText("y/N");
  top.type("y");
  await top.untilText("detached; u looks for a cache again");
  expect(daemon.asked).toEqual(["detach"]);
  top.type("u");
  await top.untilText("proved itself");
  expect(daemon.asked).toEqual(["detach", "reload", "up"]);
});

test("l shows the daemon's log and follows it", async () => {
  await using daemon = await toldDaemon(attached);
  daemon.log(['{"level":"info","time":"2026-11-20T12:00:00Z","msg":"attached","endpoint":"grpc://100.64.0.7:9092"}']);
  await using top = daemon.top();
  await top.untilText("pid 4242");
  top.type("l");
  await top.untilText("2026-11-20 12:00:00 info  attached endpoint=grpc://100.64.0.7:9092");
  daemon.log(['{"level":"error","time":"2026-11-20T12:00:09Z","msg":"\\u001b[2Jlost"}', "cut by a cra"]);
  await top.untilText("2026-11-20 12:00:09 error lost");
  await top.untilText("cut by a cra");
  top.type(keys.escape);
  await top.untilText("Candidates 5");
});

test("c has the terminal copy the chosen endpoint, else what to type next, and says so", async () => {
  await using daemon = await toldDaemon(attached);
  await using top = daemon.top();
  await top.untilText("pid 4242");
  top.type(`${keys.left}jc`);
  await top.untilText("sent to the clipboard (OSC 52): https://nix-cache.example.ts.net/main");
  expect(top.written).toContain(`\u001b]52;c;${Buffer.from("https://nix-cache.example.ts.net/main").toString("base64")}\u0007`);
  daemon.tell({ ...unattachedAt("route"), candidates: [], rejections: [] });
  await top.untilText("U N A T T A C H E D");
  top.type("c");
  await top.untilText("(OSC 52): flywheel doctor");
});

for (const [name, typed] of [
  ["q", "q"],
  ["Ctrl-C", "\u0003"],
] as const) {
  test(`${name} ends it: 0`, async () => {
    await using daemon = await toldDaemon(attached);
    await using top = daemon.top();
    await top.untilText("pid 4242");
    top.type(typed);
    expect(await top.exit()).toEqual({ exitCode: 0, signal: 0 });
  });
}

test("q ends it at once, whatever the daemon was asked and has not answered", async () => {
  await using daemon = await toldDaemon(attached);
  daemon.verifying = () => Promise.withResolvers<StatusReport>().promise;
  await using top = daemon.top();
  await top.untilText("pid 4242");
  top.type("r");
  await top.untilText("proving the attachment");
  const asked = performance.now();
  top.type("q");
  await top.exit();
  // The answer is waited for for 8 s.
  expect(performance.now() - asked).toBeLessThan(5_000);
});
