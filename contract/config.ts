/** The user's configuration: TOML text in, typed values out, errors that name file, line and what was expected. */
import { parse, TomlError } from "smol-toml";
import * as v from "valibot";
import { builtInProfiles } from "./built-in-profiles.ts";
import type { Tool } from "./endpoint.ts";
import { FlywheelError } from "./errors.ts";
import { gloriousflywheel, type Profile, profileSchema, resolveProfile } from "./profile.ts";
import { profileName } from "./published.ts";
import type { RepositoryRule } from "./repositories.ts";
import { printable } from "./text.ts";

const absolutePath = v.pipe(v.string(), v.startsWith("/", "expected an absolute path"));
const named = v.pipe(v.string(), v.nonEmpty("expected a text that is not empty"));

export const configSchema = v.strictObject({
  guard: v.optional(
    v.strictObject({
      scope: v.optional(v.picklist(["enrolled", "all"], 'expected "enrolled" or "all"')),
      /** Workspaces that are enrolled although they have no manifest that says so. */
      workspaces: v.optional(v.array(absolutePath)),
      /** Nix's medium commands (nix eval, nix flake show): they may build where an expression imports what it builds. */
      medium: v.optional(v.picklist(["pass", "heavy"], 'expected "pass" or "heavy"')),
    }),
  ),
  /** The config twins of the fleet's two markers: both are needed, as in its contract script. */
  local_proof: v.optional(
    v.strictObject({
      mode: v.optional(v.literal("port-forward", 'expected "port-forward"')),
      allow_localhost: v.optional(v.boolean()),
      /** Port-forwards that stand on loopback: candidates of source `local-proof`. */
      bazel: v.optional(v.array(v.string())),
      nix: v.optional(v.array(v.string())),
    }),
  ),
  /** Which repository uses which profile, where neither --profile nor GF_PROFILE says: the first that agrees. */
  repositories: v.optional(
    v.array(
      v.pipe(
        v.strictObject({
          path: v.optional(absolutePath),
          forge_scope: v.optional(named),
          operator_overlay: v.optional(named),
          profile: v.pipe(v.string(), v.regex(profileName, "expected a profile's name")),
        }),
        v.check(
          ({ path, forge_scope, operator_overlay }) => [path, forge_scope, operator_overlay].some((each) => each !== undefined),
          "expected a path, a forge_scope or an operator_overlay",
        ),
      ),
    ),
  ),
  tailnet: v.optional(v.strictObject({ socket: v.optional(absolutePath) })),
  /** Operator candidates. */
  endpoints: v.optional(v.strictObject({ bazel: v.optional(v.array(v.string())), nix: v.optional(v.array(v.string())) })),
  daemon: v.optional(
    v.strictObject({
      log_level: v.optional(v.picklist(["debug", "info", "warn", "error"], "expected debug, info, warn or error")),
      /** Minutes without a question, a watcher or a guarded command, after which the daemon ends; 0, which is never, unless set. */
      idle_exit_minutes: v.optional(v.pipe(v.number(), v.integer("expected whole minutes"), v.minValue(0), v.maxValue(10_080))),
    }),
  ),
});

export interface Config {
  readonly guard: {
    readonly scope: "enrolled" | "all";
    readonly workspaces: readonly string[];
    /** What the guard makes of Nix's medium commands; Bazel's always pass, since the action cache cannot help them. */
    readonly medium: "pass" | "heavy";
  };
  readonly localProof: { readonly allowed: boolean; readonly bazel: readonly string[]; readonly nix: readonly string[] };
  readonly repositories: readonly RepositoryRule[];
  readonly tailnet: { readonly socket: string | undefined };
  readonly endpoints: { readonly bazel: readonly string[]; readonly nix: readonly string[] };
  readonly daemon: {
    readonly logLevel: "debug" | "info" | "warn" | "error";
    /** Minutes; 0: it never ends for idleness. */
    readonly idleExitMinutes: number;
  };
}

/** What config.toml names is the default profile's alone, so that no organisation's builds go to another's cache. */
export function namedFor(
  profile: string,
  kind: Tool,
  config: Pick<Config, "endpoints" | "localProof">,
): { readonly endpoints: readonly string[]; readonly localProof: readonly string[] } {
  return profile === "default"
    ? { endpoints: config.endpoints[kind], localProof: config.localProof[kind] }
    : { endpoints: [], localProof: [] };
}

/**
 * @param text the content of config.toml; empty text gives the defaults
 * @param file its path, for messages
 * @throws FlywheelError `config-invalid`
 */
export function parseConfig(text: string, file: string): Config {
  const raw = checked(configSchema, text, file);
  return {
    guard: { scope: raw.guard?.scope ?? "enrolled", workspaces: raw.guard?.workspaces ?? [], medium: raw.guard?.medium ?? "pass" },
    localProof: {
      allowed: raw.local_proof?.mode === "port-forward" && raw.local_proof.allow_localhost === true,
      bazel: raw.local_proof?.bazel ?? [],
      nix: raw.local_proof?.nix ?? [],
    },
    repositories: (raw.repositories ?? []).map(({ path, forge_scope, operator_overlay, profile }) => ({
      path: path?.replace(/(?<=.)\/+$/, ""),
      forgeScope: forge_scope,
      operatorOverlay: operator_overlay,
      profile,
    })),
    tailnet: { socket: raw.tailnet?.socket },
    endpoints: { bazel: raw.endpoints?.bazel ?? [], nix: raw.endpoints?.nix ?? [] },
    daemon: { logLevel: raw.daemon?.log_level ?? "info", idleExitMinutes: raw.daemon?.idle_exit_minutes ?? 0 },
  };
}

/**
 * @param name the profile's name; without a file one that is built in
 * @param text the content of profiles/<name>.toml, or undefined where there is none
 * @throws FlywheelError `config-invalid`
 */
export function parseProfile(name: string, text: string | undefined, file: string): Profile {
  if (text !== undefined) return resolveProfile(name, checked(profileSchema, text, file));
  if (builtInProfiles.includes(name)) return { ...gloriousflywheel, name };
  throw new FlywheelError("config-invalid", `there is no profile named ${printable(name, 40)}`, { next: `write ${file}` });
}

function checked<S extends v.GenericSchema>(schema: S, text: string, file: string): v.InferOutput<S> {
  let raw: unknown;
  try {
    raw = parse(text);
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    const what = error.message.split("\n")[0]?.replace(/^Invalid TOML document: /, "") ?? "not TOML";
    throw new FlywheelError("config-invalid", `${file}:${error.line}: ${printable(what)}`, {
      next: `mend line ${error.line} of ${file}`,
      cause: error,
    });
  }
  const result = v.safeParse(schema, raw);
  if (result.success) return result.output;
  const faults = result.issues.map((issue) => {
    const keys = (issue.path ?? []).map((item) => String(item.key));
    const line = lineOf(text, keys);
    return { line, text: `${file}:${line}: ${printable(keys.join("."), 80)}: ${expectation(issue)}` };
  });
  throw new FlywheelError("config-invalid", faults.map((fault) => fault.text).join("; "), {
    next: `mend line ${faults[0]?.line ?? 1} of ${file}`,
  });
}

/** A schema's complaint in TOML's words. */
function expectation(issue: v.BaseIssue<unknown>): string {
  if (issue.type === "strict_object" && issue.expected === "never") return "is not a setting";
  if (!issue.message.startsWith("Invalid ")) return issue.message;
  const wanted = (issue.expected ?? "another value").replace(/^\(?(.*?)(?: \| undefined\))?$/, "$1");
  const words: Readonly<Record<string, string>> = {
    Object: "a table",
    Array: "a list",
    string: "a text in quotes",
    boolean: "true or false",
  };
  return `expected ${words[wanted] ?? wanted}, found ${printable(issue.received, 60)}`;
}

/** The line on which a key of a TOML document stands: the deepest part of its path that can be found. 1 where none can. */
function lineOf(text: string, keys: readonly string[]): number {
  const lines = text.split("\n");
  let from = 0;
  let found = 1;
  for (const [depth, key] of keys.entries()) {
    const escaped = key.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&");
    const table = new RegExp(
      `^\\s*\\[+\\s*${keys
        .slice(0, depth + 1)
        .map((part) => part.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&"))
        .join("\\s*\\.\\s*")}\\s*\\]`,
    );
    const entry = new RegExp(`(?:^|[\\s{,.])["']?${escaped}["']?\\s*[=.]`);
    const at = lines.findIndex((line, index) => index >= from && (table.test(line) || entry.test(line)));
    if (at === -1) continue;
    from = at;
    found = at + 1;
  }
  return found;
}
