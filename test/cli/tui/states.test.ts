/** Each state that the screen can be in, at 80×24 and some at other sizes, as the terminal shows it. */
import { once } from "node:events";
import { createServer } from "node:net";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { StatusReport } from "../../../contract/api.ts";
import { rungs } from "../../../contract/candidate.ts";
import type { Size } from "../../fixtures/terminal/terminal.ts";
import { ToldDaemon, toldDaemon } from "./daemon.ts";
import { attached, building, degraded, escaped, localProof, lost, unattachedAt, untrusted } from "./reports.ts";

const states: Readonly<Record<string, StatusReport>> = {
  attached,
  "local proof": localProof,
  degraded,
  ...Object.fromEntries(rungs.map((rung) => [`unattached at ${rung}`, unattachedAt(rung)])),
  "tailnet not trusted": untrusted,
  "escape active": escaped,
  "build running": building,
  "lost mid-build": lost,
};

/** The one thing that moves by itself within a second or two: the age of a proof. */
function still(screen: readonly string[]): string {
  return screen.map((row) => row.replaceAll(/proved \d{1,2} s ago/g, (age) => "proved N s ago".padEnd(age.length))).join("\n");
}

async function shown(report: StatusReport, size: Size): Promise<string> {
  await using daemon = await toldDaemon(report);
  await using top = daemon.top(size);
  return still(await top.untilText("pid 4242"));
}

for (const [name, report] of Object.entries(states)) {
  test(`${name}, 80×24`, async () => expect(await shown(report, { cols: 80, rows: 24 })).toMatchSnapshot());
}

for (const name of ["attached", "unattached at connect", "build running", "tailnet not trusted"]) {
  const report = states[name] ?? attached;
  test(`${name}, 60×15`, async () => expect(await shown(report, { cols: 60, rows: 15 })).toMatchSnapshot());
  test(`${name}, 250×70`, async () => expect(await shown(report, { cols: 250, rows: 70 })).toMatchSnapshot());
}

test("starting: drawn before anybody answers", async () => {
  await using daemon = new ToldDaemon(attached);
  // It takes the call, and says nothing.
  const silent = createServer().listen(join(daemon.dir, "run/daemon.sock"));
  await once(silent, "listening");
  silent.on("connection", (connection) => connection.on("error", () => {}).on("end", () => connection.destroy()));
  await using top = daemon.top();
  expect(still(await top.untilText("L O O K I N G"))).toMatchSnapshot();
  silent.close();
});

for (const size of [
  { cols: 80, rows: 24 },
  { cols: 60, rows: 15 },
]) {
  test(`daemon gone: what was known last is grey, ${size.cols}×${size.rows}`, async () => {
    await using daemon = await toldDaemon(attached);
    await using top = daemon.top(size);
    await top.untilText("pid 4242");
    await daemon.down();
    const screen = await top.untilText("the daemon stopped");
    expect(still(screen).replace(/since \d\d:\d\d:\d\d/, "since hh:mm:ss")).toMatchSnapshot();
    const colours = top.cells().flatMap((row) => row.map(({ background }) => background));
    expect(colours).not.toContainEqual({ is: "palette", index: 2 });
    const endpoint = screen.findIndex((row) => row.includes("grpc://100.64.0.7:9092"));
    expect(top.cells()[endpoint]?.[0]?.dim).toBe(true);
  });
}

test("no daemon, where none may be started", async () => {
  await using daemon = new ToldDaemon(attached);
  await using top = daemon.top({ env: { CI: "1" } });
  expect(still(await top.untilText("N O   D A E M O N")).replace(/since \d\d:\d\d:\d\d/, "since hh:mm:ss")).toMatchSnapshot();
});
