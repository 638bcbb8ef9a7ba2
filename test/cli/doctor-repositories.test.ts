/** What `flywheel doctor` says of external repositories, by the profile, the Bazel behind the guard and the cache. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Check, DoctorReport } from "../../cli/doctor/report.ts";
import { script } from "../shim/house.ts";
import { type Home, makeHome } from "./flywheel.ts";

let home: Home;
beforeEach(() => {
  home = makeHome();
  mkdirSync(join(home.dir, "programs"));
});
afterEach(() => home.remove());

/** The group's checks, with a Bazel of that version behind the guard. */
async function checks(version: string, repositories: string): Promise<readonly Check[]> {
  home.write("config/profiles/default.toml", repositories === "" ? "" : `[bazel.repositories]\n${repositories}\n`);
  script(join(home.dir, "programs/bazel"), `echo 'bazel ${version}'`);
  const env = { GF_REAL_BAZEL: join(home.dir, "programs/bazel") };
  const report: DoctorReport = JSON.parse((await home.flywheel(["doctor", "--json"], { env })).stdout);
  return report.checks.filter(({ group }) => group === "repositories");
}
const said = (found: readonly Check[]): readonly string[] => found.map(({ id, state }) => `${id} ${state}`);

test("a profile that sets nothing up is no fault, and what is left goes by the version", async () => {
  const old = await checks("2.1.0", "");
  expect(said(old)).toEqual(["repositories ok"]);
  expect(old[0]?.reason).toBeNull();
  const four = (await checks("4.2.3", ""))[0]?.reason;
  expect(four).toContain("--experimental_remote_downloader needs a gRPC cache with the Remote Asset API: no cache is attached");
  expect(four).not.toContain("--vendor_dir");
  const nine = (await checks("9.1.0", ""))[0]?.reason;
  for (const flag of ["--registry", "--vendor_dir", "--experimental_remote_repo_contents_cache"]) expect(nine).toContain(flag);
  expect((await checks("8.1.0", ""))[0]?.reason).not.toContain("repo_contents");
});

test("what is set up is there, or said to be missing", async () => {
  const config = home.write("mirror.cfg", "block *\n");
  const places = `repository_cache = "${home.dir}/new/repositories"\ndistdir = ["${home.dir}/programs", "${home.dir}/none"]\ndownloader_config = "${config}"`;
  expect(said(await checks("4.2.3", places))).toEqual([
    "repository-cache ok",
    "distdir ok",
    "distdir warn",
    "downloader-config ok",
    "repositories ok",
  ]);
});

test("a repository cache whose place cannot be looked at is a fault, and no failure of the doctor", async () => {
  const place = `${home.dir}/${"r".repeat(300)}`;
  const [found] = await checks("4.2.3", `repository_cache = "${place}"`);
  expect(found).toMatchObject({ id: "repository-cache", state: "fail", reason: "ENAMETOOLONG" });
});

test("what cannot be used is a fault, or left out with the reason", async () => {
  writeFileSync(join(home.dir, "file"), "");
  const found = await checks("4.2.3", `repository_cache = "${home.dir}/file"\ndownloader_config = "${home.dir}/none.cfg"`);
  expect(said(found)).toEqual(["repository-cache fail", "downloader-config fail", "repositories ok"]);
  const config = home.write("mirror.cfg", "");
  const [old] = await checks("2.1.0", `downloader_config = "${config}"`);
  expect(old).toMatchObject({ id: "downloader-config", state: "warn", reason: "Bazel 2.1.0 is too old for it" });
  const [unknown] = await checks("no_version", `downloader_config = "${config}"`);
  expect(unknown).toMatchObject({ state: "warn", next: "pin a version in .bazelversion" });
});
