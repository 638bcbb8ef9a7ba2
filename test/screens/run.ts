/** `npm run screens`: the pictures of the README, from `flywheel top` in a real terminal. Build dist/ before. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { StatusReport } from "../../contract/api.ts";
import { toldDaemon } from "../cli/tui/daemon.ts";
import { building, unattachedAt } from "../cli/tui/reports.ts";
import type { Size } from "../fixtures/terminal/terminal.ts";
import { screenSvg } from "./svg.ts";

const directory = join(import.meta.dirname, "../../docs/screens");

interface Picture extends Size {
  readonly name: string;
  readonly title: string;
  readonly report: StatusReport;
}

const pictures: readonly Picture[] = [
  { name: "attached", title: "flywheel top: attached, a build running", report: building, cols: 100, rows: 26 },
  {
    name: "unattached",
    title: "flywheel top: unattached, and on which rung each candidate stands",
    report: unattachedAt("connect"),
    cols: 100,
    rows: 26,
  },
  { name: "small", title: "flywheel top on a terminal of 60×15", report: building, cols: 60, rows: 15 },
];

mkdirSync(directory, { recursive: true });
for (const { name, title, report, cols, rows } of pictures) {
  await using daemon = await toldDaemon(report);
  await using top = daemon.top({ cols, rows });
  await top.untilText("pid 4242");
  const file = join(directory, `${name}.svg`);
  writeFileSync(file, screenSvg(top.cells(), title));
  console.log(file);
}
