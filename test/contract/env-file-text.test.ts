import { spawnSync } from "node:child_process";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseEnvFile } from "../../contract/env-file.ts";
import { quotedForBash, withEnrolment, withoutEnrolment } from "../../contract/env-file-text.ts";

const values = { BAZEL_REMOTE_CACHE: "grpc://cache.example:9092", GF_BAZEL_SUBSTRATE_MODE: "shared-cache-backed" };

/** Text that a variable can hold. */
const texts = fc
  .sample(fc.oneof(fc.string({ unit: "grapheme", maxLength: 30 }), fc.string({ unit: "binary-ascii", maxLength: 30 })), {
    numRuns: 600,
    seed: 5,
  })
  .map((text) => text.replaceAll("\0", "").toWellFormed());

describe("quoting", () => {
  test("is what bash's printf %q writes of printable ASCII", () => {
    const plain = [...texts, "~x", "a:~b", "a=~b", "#x", "a#b", "", " ", "a,b", "!x"].filter((text) => /^[\x20-\x7e]*$/.test(text));
    const bash = spawnSync("bash", ["-c", 'for value; do printf "%q\\0" "$value"; done', "bash", ...plain], { encoding: "utf8" });
    expect(plain.length).toBeGreaterThan(100);
    expect(plain.map(quotedForBash)).toEqual(bash.stdout.split("\0").slice(0, -1));
  });

  test("gives a real bash, and our own reader, every value back as it was", () => {
    const script = `${texts.map((text, index) => `export V${index}=${quotedForBash(text)}`).join("\n")}\nenv -0`;
    const bash = spawnSync("bash", ["--norc", "-c", script], { encoding: "utf8", env: { LANG: "C.UTF-8", PATH: process.env["PATH"] } });
    expect([bash.status, bash.stderr]).toEqual([0, ""]);
    const found = new Map(
      bash.stdout.split("\0").map((entry) => [entry.slice(0, entry.indexOf("=")), entry.slice(entry.indexOf("=") + 1)]),
    );
    for (const [index, text] of texts.entries()) {
      expect(found.get(`V${index}`), JSON.stringify(text)).toBe(text);
      const read = parseEnvFile(`export BAZEL_REMOTE_HEADER=${quotedForBash(text)}\n`);
      expect(read.ok && read.values.BAZEL_REMOTE_HEADER, JSON.stringify(text)).toBe(text);
    }
  });
});

describe("the block", () => {
  test("is taken out byte for byte, whatever stood there before", () => {
    const line = fc.constantFrom(
      "# mine",
      "",
      "export BAZEL_REMOTE_CACHE=grpc://old:1",
      "  export GF_BAZEL_SUBSTRATE_MODE=x",
      "#flywheel# export BAZEL_REMOTE_CACHE=mine",
      "export ATTIC_SERVER=https://a",
      "export OTHER=1\r",
      "\u00e9",
    );
    const file = fc.tuple(fc.array(line, { maxLength: 6 }), fc.boolean()).map(([lines, ends]) => lines.join("\n") + (ends ? "\n" : ""));
    fc.assert(
      fc.property(file, (before) => {
        const once = withEnrolment(before, values, ["a note"]);
        expect(withEnrolment(once, values, ["a note"])).toBe(once);
        expect(withoutEnrolment(withEnrolment(once, { BAZEL_REMOTE_CACHE: "grpc://b:2" }, []))).toBe(before);
      }),
      { numRuns: 500 },
    );
    expect(withoutEnrolment(withEnrolment(undefined, values, []))).toBeUndefined();
    expect(withoutEnrolment("export A=1\n")).toBe("export A=1\n");
  });

  test("overrules what set the same before, and leaves the rest in force", () => {
    const text = withEnrolment("export BAZEL_REMOTE_CACHE=grpc://old:1\nexport ATTIC_SERVER=https://a.example\n", values, []);
    expect(parseEnvFile(text)).toMatchObject({ ok: true, values: { ...values, ATTIC_SERVER: "https://a.example" } });
  });
});
