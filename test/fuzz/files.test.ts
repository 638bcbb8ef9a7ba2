/** The other files that we read, as anybody might have left them. */
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import * as v from "valibot";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { parseEnvFile } from "../../contract/env-file.ts";
import { envFileVariables } from "../../contract/environment.ts";
import { FlywheelError } from "../../contract/errors.ts";
import { spoolEntrySchema } from "../../contract/journal.ts";
import { parseManifest } from "../../contract/manifest.ts";
import { substrateModes } from "../../contract/mode.ts";
import { type Paths, spoolPath } from "../../contract/paths.ts";
import { parseMark, runningVersion } from "../../contract/running.ts";
import { trustSchema } from "../../contract/trust.ts";
import { readSpool } from "../../daemon/api/client/spool.ts";
import { readTrust } from "../../daemon/api/client/trust.ts";
import { buildHouse, type House, shells } from "../shim/house.ts";
import { fuzz, fuzzingTime, seed, timeoutFor } from "./fuzz.ts";

const seconds = 2;
const unprintable = /[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/u;

let dir: string;
let paths: Paths;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "gf-ff-"));
  paths = { config: join(dir, "config"), state: join(dir, "state"), runtime: join(dir, "run") };
  mkdirSync(join(dir, "state/journal"), { recursive: true });
  mkdirSync(paths.config);
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

/** A text with a piece put in, taken out, or cut. */
function marred(text: fc.Arbitrary<string>, pieces: fc.Arbitrary<string>): fc.Arbitrary<string> {
  return fc.oneof(
    { weight: 2, arbitrary: text },
    {
      weight: 4,
      arbitrary: fc
        .tuple(text, fc.nat(400), pieces, fc.nat(3))
        .map(([whole, at, piece, cut]) => whole.slice(0, at) + piece + whole.slice(at + cut)),
    },
    { weight: 1, arbitrary: fc.string({ unit: "binary", maxLength: 80 }) },
  );
}

describe(".env.flywheel.local", () => {
  const shellPieces = fc.oneof(
    fc.constantFrom(
      ...[
        "$(touch pwned)",
        "`touch pwned`",
        "${HOME}",
        "$HOME",
        "$'\\n'",
        "$'\\x41'",
        "$'\\u00e9'",
        "$'\\101'",
        "$'\\c'",
        "$'",
        "'",
        '"',
        "\\",
        "\\\n",
        "\n",
        "\r\n",
        ";touch pwned",
      ],
      ...[
        "&touch pwned",
        "|touch pwned",
        ">pwned",
        "<(touch pwned)",
        "~",
        "~/x",
        "a:~",
        "{a,b}",
        "*",
        "#x",
        " #x",
        "!",
        "export X=1",
        "\u0000",
        "\u0001",
        "é",
        "\u{1f600}",
        "=",
        "+=",
        "[0]=",
      ],
    ),
    fc.string({ maxLength: 4 }),
  );
  const line = fc
    .tuple(fc.constantFrom(...envFileVariables, "OTHER"), fc.array(shellPieces, { maxLength: 3 }))
    .map(([name, pieces]) => `export ${name}=${pieces.join("")}\n`);
  const file = marred(
    fc.array(line, { maxLength: 4 }).map((lines) => lines.join("")),
    shellPieces,
  );

  /** What bash makes of it, in a shell with nothing else in it: the values as lines of `name=value` ended by NUL. */
  function sourced(text: string): string[] {
    writeFileSync(join(dir, "env"), text);
    const print = `for name in ${envFileVariables.join(" ")}; do if [ -n "\${!name+set}" ]; then printf '%s=%s\\0' "$name" "\${!name}"; fi; done`;
    const env = { PATH: "/usr/bin:/bin", HOME: dir, LC_ALL: "C.UTF-8" };
    return execFileSync("/bin/bash", ["--norc", "--noprofile", "-c", `. ./env; ${print}`], { cwd: dir, env, encoding: "utf8" })
      .split("\0")
      .slice(0, -1);
  }

  it("is taken only where bash, sourcing it, would set the same and run nothing", timeoutFor(2 * seconds), async () => {
    let taken = 0;
    await fuzz(
      fc.property(file, (text) => {
        const parsed = parseEnvFile(text);
        if (!parsed.ok) {
          for (const fault of parsed.faults) expect(fault.message).not.toMatch(unprintable);
          return;
        }
        if (Object.keys(parsed.values).length === 0) return;
        taken += 1;
        const expected = Object.entries(parsed.values).map(([name, value]) => `${name}=${value}`);
        expect(sourced(text).sort()).toEqual(expected.sort());
        expect(existsSync(join(dir, "pwned"))).toBe(false);
      }),
      { seconds: 2 * seconds, atLeast: 100 },
    );
    expect(taken).toBeGreaterThan(20);
  });
});

it("tinyland.repo.json declares something, or is told by its line", timeoutFor(seconds), async () => {
  const pieces = fc.oneof(
    fc.constantFrom("{", "}", "[", '"', ",", ":", "null", "\\u0000", "\u001b[31m", "\n", "\ufeff", '"enrollment":'),
    fc.string({ maxLength: 4 }),
  );
  const object = fc.record(
    {
      substrateMode: fc.oneof(fc.constantFrom<unknown>(...substrateModes, "other", "", null), fc.jsonValue()),
      forgeScope: fc.oneof(fc.string(), fc.jsonValue()),
      nothing: fc.jsonValue(),
    },
    { requiredKeys: [] },
  );
  const whole = fc.record(
    { enrollment: fc.oneof({ weight: 4, arbitrary: object }, fc.jsonValue()), other: fc.jsonValue() },
    { requiredKeys: [] },
  );
  const seen = new Set<string>();
  await fuzz(
    fc.property(
      marred(
        fc.tuple(whole, fc.constantFrom(0, 2)).map(([value, indent]) => JSON.stringify(value, undefined, indent)),
        pieces,
      ),
      (text) => {
        const manifest = parseManifest(text);
        seen.add(manifest.state);
        if (manifest.state === "enrolled") expect(substrateModes).toContain(manifest.mode);
        if (manifest.state !== "invalid") return;
        expect(manifest.message).toMatch(/^tinyland\.repo\.json:[1-9]\d*: ./);
        expect(manifest.message).not.toMatch(unprintable);
      },
    ),
    { seconds, atLeast: 100 },
  );
  expect([...seen].sort()).toEqual(["enrolled", "invalid", "not-enrolled"]);
});

it("the spool gives whole entries, and counts the rest", timeoutFor(seconds), async () => {
  const entry = fc.record({
    v: fc.constant(1),
    at: fc.string(),
    kind: fc.constantFrom("escape", "refusal"),
    tool: fc.string(),
    command: fc.string(),
    workspace: fc.string(),
    profile: fc.string(),
    reason: fc.string({ unit: "binary" }),
  });
  const line = marred(
    fc.oneof(entry, fc.jsonValue()).map((value) => JSON.stringify(value)),
    fc.constantFrom('"', "{", "\u0000", "\n", "}", "\\"),
  );
  let whole = 0;
  await fuzz(
    fc.property(fc.array(line, { maxLength: 6 }), fc.integer({ min: 1, max: 4 }), (lines, limit) => {
      writeFileSync(spoolPath(paths), lines.join("\n"));
      const { entries, malformed } = readSpool(paths, { limit });
      whole += entries.length;
      expect(entries.length).toBeLessThanOrEqual(limit);
      expect(malformed).toBeLessThanOrEqual(lines.join("\n").split("\n").length);
      for (const each of entries) expect(v.is(spoolEntrySchema, each)).toBe(true);
    }),
    { seconds, atLeast: 100 },
  );
  expect(whole).toBeGreaterThan(20);
});

it("trust.json is believed whole or not at all", timeoutFor(seconds), async () => {
  const profile = fc.oneof({ weight: 4, arbitrary: fc.constant("default") }, fc.string());
  const store = fc.record({
    v: fc.oneof({ weight: 8, arbitrary: fc.constant<unknown>(1) }, fc.jsonValue()),
    tailnets: fc.array(fc.record({ profile, name: fc.string(), magicDnsSuffix: fc.string(), at: fc.string() }), { maxLength: 2 }),
    files: fc.array(fc.record({ path: fc.string(), sha256: fc.oneof(fc.constant("a".repeat(64)), fc.string()), at: fc.string() }), {
      maxLength: 2,
    }),
    keys: fc.array(fc.record({ profile, key: fc.string(), at: fc.string() }), { maxLength: 2 }),
  });
  const file = join(paths.config, "trust.json");
  let believed = 0;
  await fuzz(
    fc.property(
      marred(
        store.map((value) => JSON.stringify(value)),
        fc.constantFrom('"', "{", "\u0000", "\n", "}", ",", '"x":1,', "\u001b"),
      ),
      (text) => {
        writeFileSync(file, text);
        try {
          expect(v.is(trustSchema, readTrust(paths))).toBe(true);
          believed += 1;
        } catch (error) {
          if (!(error instanceof FlywheelError)) throw error;
          expect(error.code).toBe("config-invalid");
          expect(error.message.startsWith(`${file}:`), error.message).toBe(true);
          expect(error.message).not.toMatch(unprintable);
        }
      },
    ),
    { seconds, atLeast: 100 },
  );
  expect(believed).toBeGreaterThan(20);
});

it("a mark of a running command is what sh writes, or nothing", timeoutFor(seconds), async () => {
  const mark = fc
    .tuple(
      fc.constantFrom("bazel", "bazelisk"),
      fc.constantFrom("build", "test", "mobile-install"),
      fc.constantFrom("default", "own"),
      fc.constantFrom("none", "grpc://100.64.0.7:9092", "https://cache.example.org"),
      fc.constantFrom("none", "0f8fad5b-d9cb-469f-a165-70867728950e"),
      fc.nat(),
      fc.string({ unit: "binary" }),
    )
    .map(
      ([tool, command, profile, endpoint, id, started, directory]) =>
        `${runningVersion}\ntool ${tool}\ncommand ${command}\nprofile ${profile}\nendpoint ${endpoint}\nrecord ${id}\nboot ${id}\nstarted ${started}\ndirectory ${directory}\n`,
    );
  const name = fc.oneof(
    fc.integer({ min: -5, max: 4_194_304 }).map(String),
    fc.constantFrom("", "0", "007", "1e3", "..", "99999999999", "1\n"),
    fc.string(),
  );
  let taken = 0;
  await fuzz(
    fc.property(
      name,
      marred(mark, fc.constantFrom("\n", " ", "\u0000", "$(id)", "tool x\n", "-", "\u001b[31m", "9".repeat(13))),
      (file, text) => {
        const parsed = parseMark(file, text);
        if (parsed === undefined) return;
        taken += 1;
        expect(String(parsed.pid)).toBe(file);
        expect(Number.isSafeInteger(parsed.pid) && parsed.pid > 0).toBe(true);
        expect(`${parsed.tool}${parsed.command}${parsed.profile}`).toMatch(/^[A-Za-z0-9_-]+$/);
        expect(Number.isSafeInteger(parsed.started)).toBe(true);
        expect(parsed.directory ?? "").not.toMatch(unprintable);
        expect(parsed.endpoint ?? "grpc://x").toMatch(/^(?:grpcs?|https?):\/\/[\x21-\x7e]+$/);
        expect(`${parsed.record ?? 0}${parsed.bootId ?? 0}`).toMatch(/^[0-9a-f-]+$/);
      },
    ),
    { seconds, atLeast: 100 },
  );
  expect(taken).toBeGreaterThan(20);
});

describe.each(shells)("the verdict, under $name", ({ command: shell }) => {
  let house: House;
  beforeEach(async () => {
    house = await buildHouse();
    writeFileSync(join(house.work, "tinyland.repo.json"), "{}");
    mkdirSync(join(house.root, `state/workspace${house.work}`), { recursive: true });
  });
  afterEach(() => house.remove());

  it("is what the slow path wrote, or the slow path is asked", timeoutFor(seconds / 2), async () => {
    const until = performance.now() + fuzzingTime(seconds / 2);
    const good = fc.constantFrom("enrolled manifest", "unenrolled manifest").map((verdict) => `${verdict}\n${house.work}\n`);
    const pieces = fc.constantFrom(
      "$(touch pwned)",
      "`touch pwned`",
      "*",
      "\n",
      " ",
      "\0",
      "+env",
      "\r",
      "\\",
      "/",
      "..",
      "-n",
      "a[$(touch pwned)]",
      "x".repeat(10_000),
    );
    const seen = { through: 0, asked: 0 };
    for (let round = 0; round < 10 || performance.now() < until; round += 1) {
      const [text = ""] = fc.sample(marred(good, pieces), { seed: seed + round, numRuns: 1 });
      writeFileSync(join(house.root, `state/workspace${house.work}/.verdict`), text);
      const { code, stdout, stderr } = await house.run(["build", "//x"], { shell, env: { GF_GUARD_SCOPE: undefined } });
      const told = { seed: seed + round, text, stderr };
      expect(told).toEqual({ ...told, stderr: "" });
      expect(existsSync(join(house.work, "pwned"))).toBe(false);
      if (code === 78) {
        seen.asked += 1;
        continue;
      }
      // It passes untouched only by a verdict that says so (sh's read drops NUL), about this very place.
      seen.through += 1;
      const [verdict, root] = text.replaceAll("\0", "").split("\n");
      expect({ ...told, verdict, stdout: stdout.toString() }).toEqual({ ...told, verdict: "unenrolled manifest", stdout: "build\0//x\0" });
      expect(root).toMatch(/^[/.]/);
    }
    expect(seen.asked, JSON.stringify(seen)).toBeGreaterThan(2);
    expect(seen.through, JSON.stringify(seen)).toBeGreaterThan(0);
  });
});
