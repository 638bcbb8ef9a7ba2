/** The manual: complete, and without a complaint of groff, man or mandoc. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, expect, it } from "vitest";
import { completionFiles, completionShells, completionText } from "../../../cli/completion/text.ts";
import { manualPage } from "../../../cli/man/page.ts";
import { roff, verbatim } from "../../../cli/man/roff.ts";
import { allCommands } from "../../../cli/registry.ts";
import { programOnPath, required } from "../../fixtures/peers.ts";
import { type Home, makeHome } from "../flywheel.ts";

const share = join(import.meta.dirname, "../../../dist/share");
const built = join(share, "man/man1/flywheel.1");

let home: Home;
beforeAll(() => {
  home = makeHome();
});
afterAll(() => home.remove());

it("what was built is what the sources say: no date, no machine, the same each time", async () => {
  const commands = await allCommands();
  // A build under SOURCE_DATE_EPOCH names that day.
  const date = process.env["SOURCE_DATE_EPOCH"] === undefined ? "" : /^\.TH FLYWHEEL 1 "(.*?)"/m.exec(readFileSync(built, "utf8"))?.[1];
  expect(readFileSync(built, "utf8")).toBe(manualPage(commands, date?.replaceAll("\\-", "-") ?? ""));
  expect(manualPage(commands, "2026-11-21")).toContain('.TH FLYWHEEL 1 "2026\\-11\\-21" ');
  for (const shell of completionShells)
    expect(readFileSync(join(share, completionFiles[shell]), "utf8")).toBe(completionText(shell, commands));
});

it("man prints every command, option and example, without a warning", async ({ skip }) => {
  const man = required(programOnPath("man"), skip);
  const { stdout, stderr } = await execa(man, ["--warnings", "-E", "UTF-8", "-l", built], {
    env: { MANWIDTH: "400", MAN_KEEP_FORMATTING: "", LC_ALL: "C.UTF-8" },
  });
  expect(stderr).toBe("");
  for (const { name, options, examples } of await allCommands()) {
    expect(stdout).toMatch(new RegExp(`^ +flywheel ${name} \\[options\\]`, "m"));
    for (const { flag } of Object.values(options)) expect(stdout).toContain(flag);
    for (const { line } of examples) expect(stdout).toContain(line);
  }
  for (const words of ["help <command>", "-V, --version"]) expect(stdout).toMatch(new RegExp(`^ +${words}`, "m"));
  for (const heading of ["NAME", "SYNOPSIS", "EXIT STATUS", "ENVIRONMENT", "FILES", "SEE ALSO"])
    expect(stdout).toMatch(new RegExp(`^${heading}$`, "m"));
});

it("groff has nothing to warn of", async ({ skip }) => {
  const groff = required(programOnPath("groff"), skip);
  expect((await execa(groff, ["-man", "-ww", "-Tutf8", built])).stderr).toBe("");
});

it("mandoc finds no error in it", async ({ skip }) => {
  const mandoc = required(programOnPath("mandoc"), skip);
  // Style: it would have a date, which a build that can be repeated has not.
  expect(await execa(mandoc, ["-T", "lint", "-W", "error", built], { reject: false })).toMatchObject({ exitCode: 0, stdout: "" });
});

it("no text is more than text to roff", async ({ skip }) => {
  const groff = required(programOnPath("groff"), skip);
  const hostile = [".so /etc/hostname", "'br", "a\\fBb\\n[x] \\*(xx", "-- ^ ~ ` ' \" …", "…\u{1f600}"];
  const file = join(home.dir, "hostile.1");
  writeFileSync(file, `.TH T 1 "" "" ""\n.nh\n.ad l\n.SH X\n${hostile.map(verbatim).join("\n")}\n`);
  const { stdout, stderr } = await execa(groff, ["-man", "-ww", "-Tutf8", "-P-c", file], { env: { LC_ALL: "C.UTF-8" } });
  expect(stderr).toBe("");
  for (const text of hostile) expect(stdout).toContain(text);
  expect(roff(hostile.join("\n"))).toMatch(/^[\n -~]*$/);
});
