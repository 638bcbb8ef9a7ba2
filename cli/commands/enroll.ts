import {
  defaultEnrolment,
  type Enrolment,
  type EnrolmentOptions,
  type EnrolmentPlan,
  enrolledValues,
  enrolments,
  isEnrolment,
  manifestFault,
  planEnrolment,
} from "../../contract/enrolment.ts";
import { envFileName } from "../../contract/env-file.ts";
import { quotedForBash } from "../../contract/env-file-text.ts";
import { FlywheelError } from "../../contract/errors.ts";
import { Exit } from "../../contract/exit.ts";
import { type Manifest, manifestName } from "../../contract/manifest.ts";
import type { Profile } from "../../contract/profile.ts";
import { typed } from "../../contract/quote.ts";
import { printable } from "../../contract/text.ts";
import { latency } from "../../contract/words.ts";
import { probeOnce } from "../../daemon/api/client/probe-once.ts";
import { loadConfig, loadProfile } from "../../daemon/api/client/settings.ts";
import { findWorkspace } from "../../shim/scope.ts";
import { defineCommand, type OptionDefinition, type Values } from "../command.ts";
import type { Context } from "../context.ts";
import { planEnrolled, planUndone } from "../enroll/file.ts";
import { gitFault } from "../enroll/git.ts";
import { shapeOf } from "../options.ts";
import { confirmed } from "../output/ask.ts";
import { applyEdit, diff, type Edit } from "../rc/file.ts";
import { readStatus } from "../status/report.ts";

/** The file names endpoints of somebody's network: nobody else reads it. */
const fileMode = 0o600;

const definitions = {
  cacheEndpoint: { flag: "--cache-endpoint <url>", summary: "the Bazel cache (else what is attached, or the profile's cluster's)" },
  executorEndpoint: { flag: "--executor-endpoint <url>", summary: "the executor, for executor-backed and its kind" },
  instanceName: { flag: "--instance-name <name>", summary: "the cache's instance (else the profile's)" },
  credentialHelper: { flag: "--credential-helper <path>", summary: "a credential helper: <path>, or <host>=<path>" },
  credentialHelperTokenFile: { flag: "--credential-helper-token-file <path>", summary: "the file from which the helper takes its token" },
  remoteHeader: { flag: "--remote-header <name=value>", summary: "a header for every remote call, never a credential" },
  remoteCacheHeader: { flag: "--remote-cache-header <name=value>", summary: "for the cache alone" },
  remoteExecHeader: { flag: "--remote-exec-header <name=value>", summary: "for the executor alone" },
  platform: { flag: "--platform <name>", summary: "the executor's platform" },
  write: { flag: "--write", summary: `write ${envFileName}, shown first` },
  writeLocalEnv: { flag: "--write-local-env", summary: "the same, by the fleet's name" },
  unproved: { flag: "--unproved", summary: "write endpoints that do not prove themselves now; no state is claimed for them" },
  undo: { flag: "--undo", summary: "take out again what was written" },
  yes: { flag: "--yes", summary: "do not ask" },
} as const satisfies Readonly<Record<string, OptionDefinition>>;

export default defineCommand({
  name: "enroll",
  summary: `say what this repository is, and write its ${envFileName} when asked`,
  details: `Reads ${manifestName} and the profile. Without --write it only says what it found and what it would write. A state is written only when its cache proves itself now; with --unproved the endpoints and the mode are written without one, and an executor never gets one here, since only processes that ran remotely prove it. Credentials are never written: name a file that holds the token, or a helper.`,
  arguments: [{ name: "[enrolment]", summary: "by the fleet's word for it (by the manifest's mode)", choices: enrolments }],
  options: definitions,
  examples: [
    { line: "flywheel enroll", does: "what this repository is, and what would be written" },
    { line: "flywheel enroll --write", does: "prove the cache, show the change, ask, and write it" },
    { line: "flywheel enroll port-forward-cache --cache-endpoint grpc://127.0.0.1:19092 --write", does: "a bounded local proof" },
    { line: "flywheel enroll --undo", does: `take it out again, byte for byte` },
  ],
  exits: [
    { code: Exit.failed, means: "nothing was written: the cache does not prove itself, git does not ignore the file, or no was said" },
  ],
  async run(context, options, [asked]) {
    const write = options.write || options.writeLocalEnv;
    const { root, manifest } = findWorkspace(context.cwd, context.env["PWD"]);
    if (options.undo) {
      if (write || options.unproved || asked !== undefined)
        throw new FlywheelError("usage", "--undo stands alone", { next: "flywheel enroll --undo" });
      return undo(context, root, options.yes);
    }
    if (manifest.state === "invalid") throw new FlywheelError("config-invalid", manifest.message, { next: `mend ${root}/${manifestName}` });
    const fleet = loadProfile(context.paths, context.profile);
    const enrolment = asked !== undefined && isEnrolment(asked) ? asked : defaultEnrolment(manifest);
    const plan = await planned(context, { enrolment, options, manifest, fleet });
    const git = await gitFault(root, context.env);
    const report = { root, manifest, fleet, plan, git };
    if (!write) {
      show(context, report, writing(context, plan, options));
      return Exit.ok;
    }
    return enroll(context, report, { unproved: options.unproved, yes: options.yes });
  },
});

/** The same command line with --write; an executor is never proved here. */
function writing({ profile, profileChoice }: Context, { enrolment, mode }: EnrolmentPlan, options: Values<typeof definitions>): string {
  const given = Object.entries(definitions).flatMap(([name, { flag }]) => {
    const value = options[name as keyof typeof definitions];
    return typeof value === "string" ? [`--${shapeOf(flag).long}=${typed(value)}`] : [];
  });
  const chosen = profileChoice.by === "option" ? [`--profile=${profile}`] : [];
  return [
    "flywheel enroll",
    enrolment,
    ...chosen,
    ...given,
    ...(options.unproved || mode === "executor-backed" ? ["--unproved"] : []),
    "--write",
  ].join(" ");
}

interface Report {
  readonly root: string;
  readonly manifest: Manifest;
  readonly fleet: Profile;
  readonly plan: EnrolmentPlan;
  /** What git says against the file. */
  readonly git: { readonly reason: string; readonly next: string } | undefined;
}

async function planned(
  { paths, profile }: Context,
  input: { enrolment: Enrolment; options: EnrolmentOptions; manifest: Manifest; fleet: Profile },
): Promise<EnrolmentPlan> {
  const { enrolment, options } = input;
  const asksDaemon = enrolment === "shared-cache-backed" && options.cacheEndpoint === undefined;
  const attached = asksDaemon ? ((await readStatus(paths, profile)).bazel.endpoint ?? undefined) : undefined;
  return planEnrolment({ ...input, attached, portForward: loadConfig(paths).localProof.bazel[0] });
}

/** @throws FlywheelError for whatever keeps the file from being written, before anything is asked */
async function enroll(context: Context, report: Report, { unproved, yes }: { unproved: boolean; yes: boolean }): Promise<number> {
  const { root, plan, git } = report;
  const against = manifestFault(plan, report.manifest);
  if (against !== undefined) {
    throw new FlywheelError("env-file-invalid", against, {
      next: `flywheel enroll ${defaultEnrolment(report.manifest)}, or change ${manifestName}`,
    });
  }
  if (plan.lacks !== undefined)
    throw new FlywheelError("endpoint-invalid", `${plan.enrolment} lacks ${plan.lacks.what}`, { next: plan.lacks.next });
  if (git !== undefined) throw new FlywheelError("env-file-invalid", git.reason, { next: git.next });
  const proof = unproved ? undefined : await prove(context, plan);
  const values = enrolledValues(plan, proof === undefined ? "unproved" : "proved");
  const edit = planEnrolled(root, values, [
    `${plan.enrolment}, by \`flywheel enroll\`; \`flywheel enroll --undo\` takes these lines out again.`,
    ...(values.GF_FLYWHEEL_PROFILE_STATE === undefined ? ["Not proved when it was written, so it claims no profile state."] : []),
  ]);
  const { output } = context;
  if (output.format === "human") output.notice(edit.before === edit.after ? "nothing to change" : diff(edit));
  const changed = edit.before !== edit.after;
  if (changed && !(await confirmed(output, "Write this?", { yes }))) {
    output.notice("nothing was written");
    return Exit.failed;
  }
  // Also where nothing changes, for the sake of its mode.
  await applyEdit(changed ? edit : { ...edit, before: undefined }, { mode: fileMode });
  if (output.format === "json") output.json({ ...data(report), values, proof: proof ?? null, written: changed });
  else {
    if (proof !== undefined && proof.latencyMs !== null) output.line(`${proof.endpoint} proved itself in ${latency(proof.latencyMs)}`);
    output.line(`${edit.file} ${changed ? "is written" : "says that already"}`);
    if (plan.state !== "unattached") output.line(`  next: flywheel trust file ${typed(edit.file)}   (the guard believes it only then)`);
  }
  return Exit.ok;
}

async function undo({ output }: Context, root: string, yes: boolean): Promise<number> {
  const edit: Edit = planUndone(root);
  if (output.format === "human") output.notice(diff(edit));
  if (!(await confirmed(output, "Take this out again?", { yes }))) {
    output.notice("nothing was changed");
    return Exit.failed;
  }
  await applyEdit(edit, { mode: fileMode });
  if (output.format === "json") output.json({ schema: 1, root, undone: true });
  else output.line(edit.after === undefined ? `${edit.file} is removed: it was made by enrolling` : `${edit.file} is as it was before`);
  return Exit.ok;
}

interface Proof {
  readonly endpoint: string;
  readonly latencyMs: number | null;
}

/**
 * The state that is written must be true now.
 * @throws FlywheelError `endpoint-invalid` where nothing proves it
 */
async function prove({ profile }: Context, plan: EnrolmentPlan): Promise<Proof | undefined> {
  const cache = plan.values.BAZEL_REMOTE_CACHE;
  if (plan.mode === "executor-backed") {
    throw new FlywheelError("endpoint-invalid", "an executor is proved only by processes that ran on it, which nothing here does", {
      next: "--unproved writes its endpoints and the mode, and claims no profile state",
    });
  }
  if (cache === undefined) return undefined;
  const report = await probeOnce({ profile, kind: "bazel", endpoint: cache, localProof: plan.localProof });
  if (report.ok) return { endpoint: report.endpoint, latencyMs: report.latencyMs };
  throw new FlywheelError(
    "endpoint-invalid",
    `${plan.cacheFrom ?? "the cache"} (${report.endpoint}) does not prove itself: ${report.rung}: ${report.reason}`,
    { next: report.next ?? "repeat it once the cache answers, or --unproved, which claims no profile state" },
  );
}

function data({ root, manifest, fleet, plan, git }: Report) {
  return {
    schema: 1,
    root,
    manifest,
    profile: fleet.name,
    enrolment: plan.enrolment,
    mode: plan.mode,
    state: plan.state,
    cacheFrom: plan.cacheFrom,
    lacks: plan.lacks ?? null,
    against: manifestFault(plan, manifest) ?? null,
    git: git ?? null,
  };
}

/**
 * What is, and what would be: nothing is asked of any cache.
 * @param write what to type to have it written
 */
function show({ output }: Context, report: Report, write: string): void {
  const { root, manifest, fleet, plan, git } = report;
  const values = enrolledValues(plan, plan.mode === "executor-backed" ? "unproved" : "proved");
  if (output.format === "json") {
    output.json({ ...data(report), values, proof: null, written: false });
    return;
  }
  const against = manifestFault(plan, manifest);
  const lines = [
    ["repository", printable(root, 400)],
    ["manifest", manifestWords(manifest)],
    ["profile", fleet.name],
    [
      "enrolment",
      `${plan.enrolment}: mode ${plan.mode}, state ${plan.state}${plan.mode === "executor-backed" ? " (never claimed here)" : ""}`,
    ],
    ["cache", plan.cacheFrom === null ? "none" : `${plan.values.BAZEL_REMOTE_CACHE ?? ""}, from ${plan.cacheFrom}`],
    ...(against === undefined ? [] : [["against", against]]),
    ...(plan.lacks === undefined
      ? []
      : [
          ["lacks", plan.lacks.what],
          ["  next", plan.lacks.next],
        ]),
    ...(git === undefined
      ? []
      : [
          ["git", git.reason],
          ["  next", git.next],
        ]),
  ];
  for (const [name = "", value = ""] of lines) output.line(`  ${name.padEnd(10)} ${value}`);
  if (plan.lacks !== undefined || against !== undefined) return;
  output.line();
  output.line(
    `${envFileName}, once ${plan.cacheFrom === null || plan.mode === "executor-backed" ? "written" : "the cache has proved itself"} (${write}):`,
  );
  for (const [name, value] of Object.entries(values)) output.line(`  export ${name}=${quotedForBash(value)}`);
}

function manifestWords(manifest: Manifest): string {
  switch (manifest.state) {
    case "absent":
      return `no ${manifestName}: the fleet's fallback is shared-cache-backed`;
    case "not-enrolled":
      return `${manifestName} has no enrollment`;
    case "invalid":
      return manifest.message;
    case "enrolled": {
      const { mode, forgeScope, operatorOverlay, executionPool } = manifest;
      const more = [
        ["forge scope", forgeScope],
        ["operator overlay", operatorOverlay],
        ["execution pool", executionPool],
      ].flatMap(([name, value]) => (value === undefined ? [] : [`${name} ${printable(value, 80)}`]));
      return [`declares ${mode}`, ...more].join(", ");
    }
  }
}
