/** The diff that a person says yes to. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { applyEdit, diff, planEdit } from "../../cli/rc/file.ts";

test("shows what a terminal would act on, and writes it byte for byte", async () => {
  const directory = mkdtempSync(join(tmpdir(), "gf-diff-"));
  try {
    const file = join(directory, "rc");
    const hostile = "a\tb\u001b[2K\u001b]0;t\u0007\u009b1A\r\u202eé\n";
    writeFileSync(file, hostile);
    const edit = planEdit(file, (content) => content?.replace(/^a/, "A"));
    const [, , , removed, added] = diff(edit).split("\n");
    expect(removed).toBe("-a\tb\\x1b[2K\\x1b]0;t\\x07\\x9b1A\\x0d\\u202eé");
    expect(added).toBe("+A\tb\\x1b[2K\\x1b]0;t\\x07\\x9b1A\\x0d\\u202eé");
    await applyEdit(edit);
    expect(readFileSync(file, "utf8")).toBe(hostile.replace(/^a/, "A"));
  } finally {
    rmSync(directory, { recursive: true });
  }
});
