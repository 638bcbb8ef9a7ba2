/** The record of a proof: what `flywheel proof --json` prints, and docs/proof.schema.json describes. `schema` rises when a field changes its meaning. */
import * as v from "valibot";
import { sources } from "../candidate.ts";
import { profileStates, substrateModes } from "../mode.ts";

export const proofSchema = 1;
export const proofKind = "flywheel-proof";

export const proofParts = ["contract", "bazel", "nix", "ci"] as const;

const count = v.pipe(v.number(), v.integer(), v.minValue(0));
const time = v.pipe(v.string(), v.isoTimestamp());

/** Why something is not proved. `rule` is stable, for machines. */
const reasonSchema = v.strictObject({
  part: v.picklist(proofParts),
  rule: v.string(),
  message: v.string(),
  next: v.nullable(v.string()),
});
export type Reason = v.InferOutput<typeof reasonSchema>;

const endpointSchema = v.strictObject({
  /** `grpc://<redacted>:9092`, unless it was asked for. */
  url: v.string(),
  /** The beginning of the URL's SHA-256: to tell two endpoints apart; whoever guesses the URL can check the guess. */
  digest: v.string(),
  source: v.picklist(sources),
  /** The tag or Service by which a node of the tailnet is a cache; null where none stands behind it. */
  by: v.nullable(v.string()),
  /** The node's name; null unless endpoints are shown. */
  node: v.nullable(v.string()),
});
export type EndpointIdentity = v.InferOutput<typeof endpointSchema>;

const processesSchema = v.strictObject({
  hits: count,
  other: count,
  misses: count,
  /** Of the misses: on this machine, and by an executor. */
  local: count,
  remote: count,
  internal: count,
});
export type ProofProcesses = v.InferOutput<typeof processesSchema>;

const buildSchema = v.strictObject({
  exitCode: v.number(),
  wallMs: count,
  /** null: Bazel's build events did not say. */
  processes: v.nullable(processesSchema),
});
export type ProofBuild = v.InferOutput<typeof buildSchema>;

const bazelSchema = v.strictObject({
  tool: v.string(),
  /** null where this Bazel names none, as Debian's. */
  version: v.nullable(v.string()),
  targets: v.array(v.string()),
  endpoint: v.nullable(endpointSchema),
  /** Whether this machine may fill the cache. */
  upload: v.boolean(),
  instanceName: v.nullable(v.string()),
  /** Of those in `comparedFlags`, the ones that were in effect in the rebuild, and their values. */
  flags: v.pipe(
    v.unknown(),
    // An array is an object to valibot.
    v.check((value) => !Array.isArray(value), "expected an object, found an array"),
    v.record(v.string(), v.string()),
  ),
  /** null: uploads are off, so there was nothing to fill. */
  fill: v.nullable(buildSchema),
  rebuild: v.nullable(buildSchema),
});
export type BazelProof = v.InferOutput<typeof bazelSchema>;

const nixSchema = v.strictObject({
  version: v.nullable(v.string()),
  endpoint: v.nullable(endpointSchema),
  /** The cache's name: the last part of its URL; null where it has none. */
  cache: v.nullable(v.string()),
  publicKey: v.nullable(v.string()),
  path: v.nullable(v.strictObject({ path: v.string(), chosen: v.picklist(["named", "found"]) })),
  /** Store paths by where they came from; null where nothing was tried. */
  substituted: v.nullable(v.strictObject({ byCache: count, byOthers: count, built: count, wallMs: count })),
  /** Whether the attached key signed it. */
  signature: v.picklist(["valid", "missing", "invalid", "unchecked"]),
});
export type NixProof = v.InferOutput<typeof nixSchema>;

/** `route`: how the cache is reached, which differs on purpose. */
export const verdicts = ["same", "route", "drift"] as const;

const comparisonSchema = v.strictObject({
  madeAt: time,
  lines: v.array(v.strictObject({ what: v.string(), here: v.string(), ci: v.string(), verdict: v.picklist(verdicts) })),
});
export type Comparison = v.InferOutput<typeof comparisonSchema>;

export const proofRecordSchema = v.strictObject({
  schema: v.literal(proofSchema),
  kind: v.literal(proofKind),
  /** All parts that were asked for, and nothing less. */
  proved: v.boolean(),
  /** Proved, and not by a local proof, which shows that the machinery works and nothing of a product. */
  productEvidence: v.boolean(),
  parts: v.array(v.picklist(["bazel", "nix"])),
  madeAt: time,
  tookMs: count,
  companion: v.strictObject({ version: v.string() }),
  machine: v.strictObject({
    os: v.string(),
    arch: v.string(),
    cores: count,
    memoryGiB: count,
    context: v.picklist(["github-actions", "ci", "developer-machine"]),
    runnerClass: v.nullable(v.string()),
  }),
  profile: v.string(),
  mode: v.picklist(substrateModes),
  profileState: v.picklist(profileStates),
  bazel: v.nullable(bazelSchema),
  nix: v.nullable(nixSchema),
  /** Empty where it is proved. */
  reasons: v.array(reasonSchema),
  /** In words. */
  shown: v.array(v.string()),
  notShown: v.array(v.string()),
  ci: v.nullable(comparisonSchema),
});
export type ProofRecord = v.InferOutput<typeof proofRecordSchema>;
