/** The directories from which tools take credentials. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { parseEndpoint } from "../../../contract/endpoint.ts";
import type { Paths } from "../../../contract/paths.ts";
import { Secret } from "../../../contract/secret.ts";
import { generationDirectory } from "../../../daemon/api/client/credentials/generations.ts";
import { Generations } from "../../../daemon/credentials/generations.ts";

const login = "0123456789abcdef0123456789abcdef";
const hour = 3_600_000;
let paths: Paths;
let dir: string;
let now: Date;
let generations: Generations;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "gf-gen-"));
  paths = { config: `${dir}/c`, state: `${dir}/s`, runtime: dir };
  now = new Date("2026-11-20T10:00:00Z");
  generations = new Generations(paths, () => now);
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

function directoryOf(url: string, generation = login): string {
  const parsed = parseEndpoint(url, "bazel");
  if (!parsed.ok) throw new TypeError(url);
  return generationDirectory(paths, { generation }, parsed.endpoint);
}

const one = "grpc://100.64.0.5:9092";
const names = (): string[] => readdirSync(join(dir, "credentials"));
const content = (text: string) => () => new Secret(text);

test("0700 and 0600, made in one step, never written again, and one for each endpoint and each login", async () => {
  const directory = directoryOf(one);
  await Promise.all(["a", "b", "c"].map((text) => generations.make(directory, "bazelrc", content(text))));
  const first = readFileSync(join(directory, "bazelrc"), "utf8");
  const { ino, mode } = statSync(join(directory, "bazelrc"));
  expect(mode & 0o777).toBe(0o600);
  expect(statSync(directory).mode & 0o777).toBe(0o700);
  expect(statSync(join(dir, "credentials")).mode & 0o777).toBe(0o700);
  await generations.make(directory, "bazelrc", content("another"));
  expect(readFileSync(join(directory, "bazelrc"), "utf8")).toBe(first);
  expect(statSync(join(directory, "bazelrc")).ino).toBe(ino);
  expect(names()).toHaveLength(1);

  await generations.make(directoryOf("grpc://100.64.0.6:9092"), "bazelrc", content("other endpoint"));
  await generations.make(directoryOf(one, login.replace("0", "f")), "bazelrc", content("other login"));
  expect(names()).toHaveLength(3);
});

test("kept for a day after it was asked for last, and gone at once with its login", async () => {
  const [asked, forgotten] = [directoryOf(one), directoryOf("grpc://100.64.0.6:9092")];
  for (const directory of [asked, forgotten]) await generations.make(directory, "bazelrc", content("x"));
  now = new Date(now.getTime() + 23 * hour);
  await generations.make(asked, "bazelrc", content("x"));
  expect(names()).toHaveLength(2);
  now = new Date(now.getTime() + 2 * hour);
  generations.prune([login]);
  expect(names()).toEqual([asked.split("/").at(-1)]);
  generations.prune([]);
  expect(names()).toEqual([]);
});

test("what a daemon that was killed had begun is gone at the next look, not in a day", () => {
  mkdirSync(join(dir, "credentials/.new-Ab12"), { recursive: true, mode: 0o700 });
  writeFileSync(join(dir, "credentials/.new-Ab12/bazelrc"), "secret");
  generations.prune([login]);
  expect(names()).toEqual([]);
});

test("a link in its place is not believed, and what cannot be written leaves nothing", async () => {
  const directory = directoryOf(one);
  await generations.make(directory, "bazelrc", content("x"));
  rmSync(directory, { recursive: true });
  symlinkSync(tmpdir(), directory);
  await expect(generations.make(directory, "bazelrc", content("x"))).rejects.toMatchObject({ code: "runtime-directory-unsafe" });
  rmSync(directory);
  await expect(
    generations.make(directory, "bazelrc", () => {
      throw new Error("no secret");
    }),
  ).rejects.toThrow("no secret");
  expect(names()).toEqual([]);
});
