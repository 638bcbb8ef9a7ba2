/**
 * The published file, mutated: sh never injects what TypeScript would not believe, runs nothing that stands in it,
 * writes nothing and says nothing. (What sh is not sure of it leaves to the slow path: that it may do at any time.)
 */
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { silentEventFlags } from "../../contract/bazel/injection.ts";
import { bazelSchemes, parseEndpoint } from "../../contract/endpoint.ts";
import type { Paths } from "../../contract/paths.ts";
import { type Published, parsePublished, serializePublished } from "../../contract/published.ts";
import { readClock } from "../../daemon/api/client/clock.ts";
import { type PublishedReading, readPublished } from "../../daemon/api/client/published.ts";
import { type Answers, callAll, quoted } from "../shim/calls.ts";
import { alive, buildHouse, type House, shells } from "../shim/house.ts";
import { fuzzingTime, seed, timeoutFor } from "./fuzz.ts";

const batch = 120;
/** Seconds for each shell. */
const seconds = 4;

let house: House;
let scratch: string;
beforeAll(async () => {
  house = await buildHouse();
  scratch = mkdtempSync(join(tmpdir(), "gf-fuzz-"));
  for (let index = 0; index < batch; index += 1) {
    mkdirSync(join(scratch, String(index), "attachment/default"), { recursive: true, mode: 0o700 });
  }
});
afterAll(() => {
  house.remove();
  rmSync(scratch, { recursive: true, force: true });
});

const hexGroup = fc.constantFrom("0", "1", "ab", "0a", "fd7a", "115c", "ffff", "12345", "G");
const host = fc.oneof(
  {
    weight: 3,
    arbitrary: fc
      .array(fc.constantFrom("0", "1", "9", "10", "100", "127", "199", "255", "256", "999", "01", ""), { minLength: 3, maxLength: 5 })
      .map((parts) => parts.join(".")),
  },
  {
    weight: 3,
    arbitrary: fc
      .array(fc.constantFrom("a", "cache", "x-1", "-x", "x-", "_x", "0x7f", "0xg", "A", "1", "", "é", "a".repeat(63), "a".repeat(64)), {
        minLength: 1,
        maxLength: 5,
      })
      .map((labels) => labels.join(".")),
  },
  {
    weight: 2,
    arbitrary: fc.array(fc.oneof(hexGroup, fc.constant("")), { minLength: 2, maxLength: 9 }).map((groups) => `[${groups.join(":")}]`),
  },
  { weight: 1, arbitrary: fc.ipV6().map((address) => `[${address}]`) },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      "",
      "[",
      "]",
      "[::1",
      "::1",
      "[::ffff:127.0.0.1]",
      "u:p@h",
      "a b",
      "$(touch pwned)",
      "`touch pwned`",
      "a,b",
      "${HOME}",
      "*",
      "%workspace%",
    ),
  },
);
const url = fc
  .tuple(
    fc.oneof({ weight: 8, arbitrary: fc.constantFrom(...bazelSchemes) }, fc.constantFrom("GRPC", "ftp", "unix", "-grpc", "")),
    fc.constantFrom("://", "://", "://", "://", "://", ":/", ":", ":///"),
    host,
    fc.constantFrom("", ":1", ":80", ":9092", ":65535", ":65536", ":99999", ":0", ":080", ":123456", ":", ":a", ":1:2"),
    fc.constantFrom(
      "",
      "",
      "",
      "",
      "/",
      "/a",
      "/a/b",
      "//a",
      "/a//b",
      "/./a",
      "/a/..",
      "/..a",
      "/a/",
      "/A_~.-",
      "/[a]",
      "/a@b",
      "/:1",
      "?q",
      "#f",
      " --x",
    ),
  )
  .map((parts) => parts.join(""));

const good = alive();
const keys = [
  "kind",
  "profile",
  "state",
  "mode",
  "endpoint",
  "alias",
  "verified",
  "valid-until",
  "clock",
  "boot-id",
  "pid",
  "upload",
  "slow",
  "reason",
];
const value = fc.oneof(
  fc.constantFrom(
    ...[
      "",
      " ",
      "a[$(touch pwned)]",
      "$(touch pwned)",
      "`touch pwned`",
      "\\",
      "*",
      "-n",
      "-e x",
      "\r",
      "none",
      "true",
      "false",
      "0",
      "00",
      "007",
    ],
    ...[
      "1e9",
      "-1",
      "+1",
      "0x10",
      "99999999999999999999",
      "999999999999",
      "9999999999999",
      "nix",
      "bazel",
      "default",
      "local-proof",
      "shared-cache-backed",
    ],
    ...[
      "executor-backed",
      "compatibility-local-only",
      "unattached",
      "wall",
      "boot",
      good.bootId,
      good.bootId.toUpperCase(),
      "é",
      "\u{1f600}",
      "x".repeat(600),
    ],
  ),
  url,
  fc.string({ maxLength: 12 }),
  fc.integer({ min: -120, max: 120 }).map((by) => String(readClock().seconds + by)),
);
type Edit = (text: Buffer<ArrayBuffer>) => Buffer<ArrayBuffer>;
const lineEdit = (edit: (lines: string[]) => string[]): Edit => {
  return (text) => Buffer.from(edit(text.toString("latin1").split("\n")).join("\n"), "latin1");
};
const utf8 = (text: string): string => Buffer.from(text).toString("latin1");
const edits: fc.Arbitrary<Edit> = fc.oneof(
  {
    weight: 6,
    arbitrary: url.map((text) =>
      lineEdit((lines) => lines.map((line) => (line.startsWith("endpoint ") ? utf8(`endpoint ${text}`) : line))),
    ),
  },
  {
    weight: 4,
    arbitrary: fc
      .tuple(fc.constantFrom(...keys), value)
      .map(([key, text]) => lineEdit((lines) => lines.map((line) => (line.startsWith(`${key} `) ? utf8(`${key} ${text}`) : line)))),
  },
  {
    weight: 2,
    arbitrary: fc
      .tuple(fc.nat(20), fc.constantFrom(...keys, "new", ""), value)
      .map(([at, key, text]) => lineEdit((lines) => lines.toSpliced(at, 0, utf8(`${key} ${text}`)))),
  },
  { weight: 1, arbitrary: fc.nat(20).map((at) => lineEdit((lines) => lines.toSpliced(at, 1))) },
  {
    weight: 1,
    arbitrary: fc.tuple(fc.nat(20), fc.nat(20)).map(([from, to]) => lineEdit((lines) => lines.toSpliced(to, 0, lines[from] ?? ""))),
  },
  { weight: 1, arbitrary: fc.nat(20).map((at) => lineEdit((lines) => [...lines.slice(at), ...lines.slice(0, at)])) },
  {
    weight: 2,
    arbitrary: fc.tuple(fc.nat(600), fc.uint8Array({ minLength: 1, maxLength: 3 }), fc.nat(2)).map(
      ([at, bytes, cut]): Edit =>
        (text) =>
          Buffer.concat([text.subarray(0, at), bytes, text.subarray(at + cut)]),
    ),
  },
  {
    weight: 2,
    arbitrary: fc.tuple(fc.nat(600), fc.constantFrom("\0", "\n", "\r", " ", "\t", "\u0080", "'", '"', "\\", "$", "`", "*")).map(
      ([at, byte]): Edit =>
        (text) =>
          Buffer.concat([text.subarray(0, at), Buffer.from(byte, "latin1"), text.subarray(at)]),
    ),
  },
  {
    weight: 1,
    arbitrary: fc.nat(700).map(
      (length): Edit =>
        (text) =>
          text.subarray(0, length),
    ),
  },
  {
    weight: 1,
    arbitrary: fc.oneof(value, fc.constantFrom("reason x", "#", "\n", "x".repeat(9_000), `${"reason y\n".repeat(2_000)}`)).map(
      (tail): Edit =>
        (text) =>
          Buffer.concat([text, Buffer.from(tail)]),
    ),
  },
);

interface Case {
  readonly text: Buffer<ArrayBuffer>;
  readonly markers: boolean;
  readonly locale: string;
  /** What BAZEL_REMOTE_CACHE is; empty: unset. */
  readonly named: string;
}
const cases: fc.Arbitrary<Case> = fc.record({
  text: fc
    .tuple(
      fc.record({ upload: fc.boolean(), state: fc.constantFrom("shared-cache-backed" as const, "local-proof" as const) }),
      fc.array(edits, { maxLength: 2 }),
    )
    .map(([over, chain]) => chain.reduce<Buffer<ArrayBuffer>>((text, edit) => edit(text), Buffer.from(serializePublished(fresh(over))))),
  markers: fc.boolean(),
  locale: fc.constantFrom("C", "C.UTF-8"),
  named: fc.oneof(
    { weight: 8, arbitrary: fc.constant("") },
    fc.constantFrom("grpc://100.64.0.5:9092", "grpc://cache.example.ts.net:9092"),
    url.filter((text) => !text.includes("\0")),
  ),
});

/** Alive now: a lease outlives no long run. */
function fresh(over: Pick<Published, "upload" | "state">): Published {
  return { ...alive(), ...over };
}

const pathsOf = (index: number): Paths => ({ config: "/nonexistent", state: "/nonexistent", runtime: join(scratch, String(index)) });
/** One sh calls the shim for every case. */
async function throughShell(shell: readonly string[], tried: readonly Case[]): Promise<Answers> {
  const shim = [...shell, join(house.shim, "bazel")].map(quoted).join(" ");
  const calls = tried.map(({ text, markers, locale, named }, index) => {
    writeFileSync(join(scratch, String(index), "attachment/default/bazel"), text, { mode: 0o600 });
    const proof = markers ? "GF_BAZEL_LOCAL_PROOF=port-forward GF_BAZEL_ALLOW_LOCALHOST_PROOF=true" : "";
    const env = `GF_RUNTIME_DIR=${quoted(join(scratch, String(index)))} LC_ALL=${locale} BAZEL_REMOTE_CACHE=${quoted(named)} ${proof}`;
    return `${env} ${shim} build //x`;
  });
  return callAll(calls, { file: join(scratch, "calls"), env: house.env, cwd: house.work });
}

/** The flags that TypeScript's reading of the file stands for. */
function flagsOf({ endpoint, upload }: Published): string[] {
  const silent = endpoint?.scheme.startsWith("grpc") === true && !upload ? silentEventFlags : [];
  return [
    `--remote_cache=${endpoint?.url}`,
    "--remote_accept_cached",
    `--remote_upload_local_results=${upload}`,
    "--remote_executor=",
    ...silent,
  ];
}

describe.each(shells)("under $name", ({ name, command: shell }) => {
  it("never believes more than TypeScript does", timeoutFor(seconds), async () => {
    const until = performance.now() + fuzzingTime(seconds);
    const before = tree();
    const seen = { injected: 0, asked: 0, unbelievable: 0 };
    for (let round = 0; round === 0 || performance.now() < until; round += 1) {
      const tried = fc.sample(cases, { seed: seed + round, numRuns: batch });
      const readings = (): PublishedReading[] => tried.map((_, index) => readPublished(pathsOf(index), "default", "bazel", readClock()));
      const { words, stderr } = await throughShell(shell, tried);
      const after = readings();
      expect(words.length).toBe(tried.length);
      expect({ seed: seed + round, stderr }).toEqual({ seed: seed + round, stderr: "" });
      for (const [index, got] of words.entries()) {
        const { text, ...rest } = tried[index] as Case;
        const reading = after[index];
        if (reading?.state === "unbelievable") seen.unbelievable += 1;
        if (got === undefined) {
          seen.asked += 1;
          continue;
        }
        seen.injected += 1;
        const published = reading?.state === "live" || reading?.state === "stale" ? reading.published : undefined;
        // The lease may have ended between the two readings, and no earlier.
        const live = reading?.state === "live" || (reading?.state === "stale" && /^its lease ended \d s ago$/.test(reading.fault));
        const believes =
          published !== undefined && live && !published.slow && published.mode === "shared-cache-backed"
            ? ["build", "//x", ...flagsOf(published)]
            : reading;
        // zsh's read drops a character that the end of the file cuts off.
        if (name.startsWith("zsh") && text.subarray(text.lastIndexOf("\n") + 1).every((byte) => byte > 0x7f) && text.at(-1) !== 0x0a)
          continue;
        const told = JSON.stringify({ seed: seed + round, index, ...rest, text: text.toString("latin1") });
        expect(believes, told).toEqual(got);
        if (published?.state === "local-proof") expect(rest.markers).toBe(true);
        if (rest.named !== "") {
          const names = [published?.endpoint, ...(published?.aliases ?? [])].map((endpoint) => endpoint?.url);
          expect(names).toContain(rest.named);
        }
      }
    }
    expect(tree(), "sh wrote something").toEqual(before);
    // The sample has to reach every outcome, or it proves little.
    for (const count of Object.values(seen)) expect(count, `${name}: ${JSON.stringify(seen)}`).toBeGreaterThan(batch / 20);
  });
});

/** Everything in the house but the fake guard's own record. */
function tree(): string[] {
  return readdirSync(house.root, { recursive: true, encoding: "utf8" })
    .filter((path) => path !== "asked")
    .sort();
}

it("TypeScript takes any text, and what it believes is written back as it was read", timeoutFor(1), () => {
  const until = performance.now() + fuzzingTime(1);
  let believed = 0;
  for (let round = 0; performance.now() < until; round += 1) {
    for (const { text } of fc.sample(cases, { seed: seed + round, numRuns: batch })) {
      const parsed = parsePublished(text.toString("utf8"));
      if (!parsed.ok) continue;
      believed += 1;
      const { published } = parsed;
      for (const endpoint of [published.endpoint, ...published.aliases]) {
        if (endpoint !== undefined) expect(parseEndpoint(endpoint.url, published.kind)).toEqual({ ok: true, endpoint });
      }
      expect(parsePublished(serializePublished(published))).toMatchObject({ ok: true, published: { endpoint: published.endpoint } });
    }
  }
  expect(believed).toBeGreaterThan(10);
});
