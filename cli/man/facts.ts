/** What the manual says beside the commands. */
import { Exit } from "../../contract/exit.ts";

type Row = readonly [name: string, means: string];

export const exitCodes: readonly Row[] = [
  [String(Exit.ok), "Fine."],
  [String(Exit.failed), "The answer is no, or a check failed."],
  [String(Exit.usage), "The command line is wrong."],
  [String(Exit.notAttached), "Bazel is not attached (status, up)."],
  [String(Exit.refused), "Refused: nothing is attached (exec, and the guarded tools)."],
  [String(Exit.notFound), "The real tool is not there. exec, compat and the shim else give the tool's own code."],
];

export const variables: readonly Row[] = [
  ["GF_GUARD_SCOPE", "Where the guard acts: enrolled (workspaces whose manifest or config.toml says so) or all."],
  ["GF_GUARD_BYPASS", "The reason of an escape, for one invocation: it runs alone, and is recorded."],
  ["GF_PROFILE", "The profile; where it is not set, the repository's by [[repositories]] of config.toml, else default."],
  [
    "GF_REAL_BAZEL, GF_REAL_NIX, GF_REAL_NIX_BUILD, ...",
    "The real tool, where PATH does not lead to it: GF_REAL_ and the name of any shim, in capitals, _ for -.",
  ],
  [
    "GF_RUNTIME_DIR, GF_STATE_DIR, GF_CONFIG_DIR",
    "Where things live, over the XDG directories; absolute, a relative one counts for nothing.",
  ],
  ["GF_TAILSCALED_SOCKET", "Another LocalAPI socket; it must belong to root or to you."],
  ["BAZEL_REMOTE_CACHE", "An operator's endpoint for this shell: proved, then used."],
  ["BAZEL_REMOTE_INSTANCE_NAME", "The cache's instance for this shell, over the profile's."],
  [
    "BAZEL_REMOTE_EXECUTOR, GF_BAZEL_SUBSTRATE_MODE, GF_FLYWHEEL_PROFILE_STATE",
    "The first, or executor-backed as either of the others: heavy Bazel commands in scope are refused, since a cache is no executor.",
  ],
  ["BAZEL_CREDENTIAL_HELPER", "/path or <host>=/path, one a line: passed on to Bazel 6.3 and newer."],
  [
    "GF_REAPI_CREDENTIAL_HELPER_TOKEN_FILE, GF_REAPI_CREDENTIAL_HELPER_TOKEN",
    "The fleet's token, for the profile's reapi_hosts alone (Bazel 6.3 and newer); else the file /var/run/secrets/tokens/gf-reapi-cell-token.",
  ],
  ["GF_REAPI_BAZEL_CREDENTIAL_HELPER", "The fleet's own helper for that token, an absolute path, in place of flywheel-credential-helper."],
  [
    "GF_BAZEL_REMOTE_UPLOAD, GF_BAZEL_CACHE_ROLE",
    "Whether this shell uploads, over the profile's word: true, 1 or yes; false, 0 or no; any other word has heavy commands refused. read-only as the role: never.",
  ],
  [
    "GF_BAZEL_LOCAL_PROOF, GF_BAZEL_ALLOW_LOCALHOST_PROOF",
    "port-forward and true, together: a loopback endpoint may serve as a local proof, and everything says so.",
  ],
  ["CI", "No daemon is started, and no progress is drawn; an endpoint of the environment is proved by a prober of its own."],
  [
    "GF_SHELL_ATTACHED",
    "What the shell hook exported as BAZEL_REMOTE_CACHE: the guard takes that value as unset, another one there is your own.",
  ],
  ["NO_COLOR, FORCE_COLOR", "No colours, or colours always."],
];

export const files: readonly Row[] = [
  ["$XDG_CONFIG_HOME/gloriousflywheel/config.toml", "Scope, enrolled workspaces, endpoints of your own, the daemon's settings."],
  ["$XDG_CONFIG_HOME/gloriousflywheel/profiles/NAME.toml", "A profile: one organisation's tailnet, names, tags, ports and keys."],
  ["$XDG_CONFIG_HOME/gloriousflywheel/trust.json", "What flywheel trust was told to believe."],
  ["$XDG_STATE_HOME/gloriousflywheel/daemon.log", "The daemon's log; one older file beside it."],
  ["$XDG_STATE_HOME/gloriousflywheel/credentials.json", "Which endpoint of which profile has what credential, until when: no secret."],
  ["$XDG_STATE_HOME/gloriousflywheel/credentials/", "The secrets themselves, where they are kept in files (0600)."],
  [
    "$XDG_RUNTIME_DIR/gloriousflywheel/credentials/",
    "Secrets as a Bazel older than 6.3 (bazelrc) and Nix (netrc) read them (0600); 24 h after they were last used they go.",
  ],
  ["$XDG_RUNTIME_DIR/gloriousflywheel/daemon.sock", "The daemon's socket, yours alone."],
  [
    "$XDG_RUNTIME_DIR/gloriousflywheel/attachment/PROFILE/bazel, nix",
    "What is attached, with a lease of 45 s: what the guard and the prompt read.",
  ],
  ["tinyland.repo.json", "A workspace's manifest, which enrolls it."],
  [".env.flywheel.local", "A workspace's own endpoints, once flywheel trust file has been told."],
];
