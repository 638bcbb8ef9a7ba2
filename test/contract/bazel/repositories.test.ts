import { describe, expect, test } from "vitest";
import { repositoryFlags } from "../../../contract/bazel/repositories.ts";
import { parseBazelVersion } from "../../../contract/bazel/version.ts";
import { parseProfile } from "../../../contract/config.ts";

const sources = { repositoryCache: "/var/repos", distdirs: ["/srv/a", "/srv/b"], downloaderConfig: "/etc/mirror.cfg" };
const four = parseBazelVersion("4.2.3");
const all = ["--repository_cache=/var/repos", "--distdir=/srv/a", "--distdir=/srv/b", "--experimental_downloader_config=/etc/mirror.cfg"];

test.each([
  ["2.1.0", { major: 2, minor: 1 }],
  ["4", { major: 4, minor: 0 }],
  ["8.0.0rc2", { major: 8, minor: 0 }],
  ["9.0.0-pre.20250301.1", { major: 9, minor: 0 }],
  [" 7.1.2\n", { major: 7, minor: 1 }],
])("%j is a version", (text, version) => {
  expect(parseBazelVersion(text)).toMatchObject(version);
});

test.each(["", "latest", "no_version", "last_green", "fork/7.1.0", "7.x", "/usr/bin/bazel", "1.2.3.4.5 x"])("%j is none", (text) => {
  expect(parseBazelVersion(text)).toBeUndefined();
});

describe("flags", () => {
  test("go by the version: one that nobody knows gets what all have", () => {
    expect(repositoryFlags(sources, four, ["build"])).toEqual(all);
    expect(repositoryFlags(sources, parseBazelVersion("8.4.1"), ["build"])).toEqual(all);
    for (const version of [undefined, parseBazelVersion("2.1.0")])
      expect(repositoryFlags(sources, version, ["build"])).toEqual(all.slice(0, 3));
  });

  test.each([
    [["build", "--repository_cache=", "//x"], all.slice(1)],
    [
      ["build", "--distdir", "/mine"],
      [all[0], all[3]],
    ],
    [["build", "--downloader_config=/mine"], all.slice(0, 3)],
    [["build", "--experimental_downloader_config=/mine"], all.slice(0, 3)],
    [
      ["run", "//x", "--test_arg", "--", "--distdir=/mine"],
      [all[0], all[3]],
    ],
    [["build", "--distdirs"], all],
  ])("leave what the user has set: %j", (args, flags) => {
    expect(repositoryFlags(sources, four, args)).toEqual(flags);
  });
});

test.each(["relative", "/a b", "/a'b", "/$(id)", "/%workspace%/x", "/a//b", "--x", "/a\nb", "/a#b"])(
  "the path %j is refused, with its line",
  (path) => {
    const text = `[bazel.repositories]\nrepository_cache = ${JSON.stringify(path)}\n`;
    expect(() => parseProfile("acme", text, "acme.toml")).toThrow(
      /acme\.toml:2: bazel\.repositories\.repository_cache: expected an absolute path/,
    );
  },
);

test("a profile's table is read whole", () => {
  const text =
    '[bazel.repositories]\nrepository_cache = "/var/repos"\ndistdir = ["/srv/a", "/srv/b"]\ndownloader_config = "/etc/mirror.cfg"\n';
  expect(parseProfile("acme", text, "acme.toml").bazel.repositories).toEqual(sources);
});
