/** Repositories of test/fixtures/repositories beside a machine that is attached: what the rules make of them. */
import { join } from "node:path";
import { readRcFiles } from "../../../cli/parity/rc.ts";
import { repositoryTree } from "../../../cli/parity/tree.ts";
import type { StatusReport } from "../../../contract/api.ts";
import { examine } from "../../../contract/ci/examine.ts";
import type { Tree } from "../../../contract/ci/model.ts";
import type { ParityLine, ParityReport, ParityRule, Verdict } from "../../../contract/ci/report.ts";
import { readRepository } from "../../../contract/ci/repository.ts";
import type { Here } from "../../../contract/ci/rules/rule.ts";
import { parseProfile } from "../../../contract/config.ts";
import { gloriousflywheel, type Profile } from "../../../contract/profile.ts";

export const repositories = join(import.meta.dirname, "../../fixtures/repositories");

/** An organisation of its own, on GitLab with a cluster in its lab: nothing of the built-in profile is in it. */
export const labToml = `
[bazel]
instance_name = "lab"
[nix]
cache = "lab"
public_key = "lab:BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBA="
[cluster]
bazel = ["grpc://cas.build.lab.example:9092"]
nix = ["http://attic.build.lab.example/lab"]
[contract]
stale = ["old-attic\\\\.lab"]
runner_labels = ["^lab-builder-"]
`;
export const lab: Profile = parseProfile("lab", labToml, "lab.toml");

const unattached = {
  state: "unattached",
  endpoint: null,
  source: null,
  node: null,
  since: null,
  path: null,
  verifiedAt: null,
  proofAgeS: null,
  latencyMs: null,
  trail: [],
  health: "unknown",
  reason: "nothing answers",
  rung: null,
  next: "flywheel doctor",
  unsettled: false,
} as const;

const nothing = { today: 0, last: null } as const;

export function status(profile: Profile, more: Partial<StatusReport> = {}): StatusReport {
  const attached = {
    ...unattached,
    state: "attached",
    source: "peer",
    node: "cache-1.example.ts.net",
    health: "healthy",
    reason: null,
    next: null,
  } as const;
  return {
    schema: 1,
    mode: "shared-cache-backed",
    profileState: "shared-cache-backed",
    profile: profile.name,
    detached: false,
    bazel: {
      ...attached,
      endpoint: "grpc://100.64.0.7:9092",
      upload: false,
      digestFunctions: null,
      updateEnabled: null,
      aliases: ["grpc://cache-1.example.ts.net:9092"],
      instanceName: profile.bazel.instanceName ?? null,
    },
    nix: {
      ...attached,
      endpoint: `http://100.64.0.9/${profile.nix.cache}`,
      publicKey: profile.nix.publicKey ?? null,
      trusted: true,
      storeDir: "/nix/store",
    },
    tailnet: {
      name: null,
      magicDnsSuffix: null,
      trusted: true,
      backendState: "Running",
      self: null,
      health: [],
      via: null,
      systemSocket: true,
      reason: null,
      next: null,
    },
    candidates: [],
    rejections: [],
    daemon: null,
    escapes: nothing,
    refusals: nothing,
    running: [],
    recent: [],
    hitRates: null,
    ...more,
  };
}

export const unattachedStatus: Partial<StatusReport> = {
  mode: "compatibility-local-only",
  profileState: "unattached",
  bazel: { ...unattached, upload: false, digestFunctions: null, updateEnabled: null, aliases: [], instanceName: null },
  nix: { ...unattached, publicKey: null, trusted: null, storeDir: null },
};

export interface Beside {
  readonly profile?: Profile;
  readonly status?: Partial<StatusReport>;
  readonly here?: Partial<Here>;
}

/** @param root a directory, links resolved */
export function examined(root: string, beside: Beside = {}): ParityReport {
  const tree = repositoryTree(root);
  // No home: this machine's own rc files are not the fixture's.
  const rc = readRcFiles(root, tree, join(root, "no-home"));
  return examineTree(tree, rc.repository, beside, { root, nested: rc.nested });
}

export function fixture(name: string, beside: Beside = {}): ParityReport {
  return examined(join(repositories, name), { profile: name.startsWith("lab-") ? lab : gloriousflywheel, ...beside });
}

/** Files that exist in no file system. */
export function treeOf(files: Readonly<Record<string, string>>): Tree {
  return { files: Object.keys(files).toSorted(), cut: false, read: (file) => (Object.hasOwn(files, file) ? files[file] : undefined) };
}

export function examineTree(
  tree: Tree,
  rc: Here["rc"],
  { profile = gloriousflywheel, status: more = {}, here = {} }: Beside,
  { root = "/home/dev/repository", nested = [] }: { readonly root?: string; readonly nested?: Here["rc"] } = {},
): ParityReport {
  const said = status(profile, more);
  const { upload, instanceName } = said.bazel;
  const machine: Here = {
    status: said,
    named: undefined,
    upload,
    instanceName: instanceName ?? undefined,
    path: "/usr/bin:/bin",
    rc,
    bazelVersion: undefined,
    endpoints: "shown",
    ...here,
  };
  return examine({ profile, repository: readRepository(tree, rc, nested), here: machine }, root);
}

export function linesOf(report: ParityReport, verdict: Verdict, rule?: ParityRule): readonly ParityLine[] {
  return report.lines.filter((line) => line.verdict === verdict && (rule === undefined || line.rule === rule));
}

/** `drift stale-place .gitlab-ci.yml:12`, each once. */
export function found(report: ParityReport, verdict: Verdict): readonly string[] {
  const all = linesOf(report, verdict).flatMap(({ rule, places }) =>
    places.length === 0 ? [`${verdict} ${rule}`] : places.map(({ file, line }) => `${verdict} ${rule} ${file}:${line}`),
  );
  return [...new Set(all)].toSorted();
}

/** What the comments of a fixture say will be found, `# drift: rule, rule`, by their lines. */
export function expected(root: string, verdict: "drift" | "unknown"): readonly string[] {
  const tree = repositoryTree(root);
  const lines = tree.files.flatMap((file) => (tree.read(file) ?? "").split("\n").map((text, at) => ({ text, place: `${file}:${at + 1}` })));
  const marks = lines.flatMap(({ text, place }) => {
    const rules = new RegExp(`(?:#|<!--) ${verdict}: ([a-z, -]*[a-z])`).exec(text)?.[1] ?? "";
    return rules === "" ? [] : rules.split(", ").map((rule) => `${verdict} ${rule} ${place}`);
  });
  return [...new Set(marks)].toSorted();
}
