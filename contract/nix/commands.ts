/**
 * Nix's command lines as tables: the one place from which both the sh fast path (generated) and the TypeScript
 * slow path read what a word means. From what `nix __dump-args` prints in 2.8 and from the sources up to 2.34
 * (src/nix/main.cc and its commands); a setting of nix.conf is a flag too, with one separate value, and
 * `--name=value` is a flag of no version.
 */

/**
 * What a command may do: heavy ones build or substitute, medium ones evaluate or fetch sources (and build only
 * where an expression imports what it builds), light ones neither. `entry` is heavy too, but is how people get in:
 * it is never refused.
 */
export type NixClass = "light" | "medium" | "heavy" | "entry";

/** The names that get a shim. nix-hash and nix-daemon need none: neither builds anything for whoever calls it. */
export const nixNames = [
  "nix",
  "nix-build",
  "nix-shell",
  "nix-env",
  "nix-store",
  "nix-instantiate",
  "nix-channel",
  "nix-collect-garbage",
  "nix-copy-closure",
  "nix-prefetch-url",
  // These call Nix by paths of their own: what they shall use reaches it only through their environment.
  "nixos-rebuild",
  "darwin-rebuild",
  "home-manager",
] as const;
export type NixName = (typeof nixNames)[number];

export function isNixName(name: string): name is NixName {
  return (nixNames as readonly string[]).includes(name);
}

/**
 * Every subcommand of `nix` in every version, aliases too. The first word of one with two is a group, which does
 * nothing alone. One that is missing here is heavy: a newer Nix's command is guarded rather than let through.
 */
export const nixCommandClasses: Readonly<Record<string, NixClass>> = {
  build: "heavy",
  bundle: "heavy",
  copy: "heavy",
  "flake check": "heavy",
  fmt: "heavy",
  "formatter build": "heavy",
  "formatter run": "heavy",
  "profile add": "heavy",
  "profile install": "heavy",
  "profile upgrade": "heavy",
  run: "heavy",
  shell: "heavy",
  "env shell": "heavy",
  "store make-content-addressed": "heavy",
  "make-content-addressable": "heavy",
  "store repair": "heavy",
  "upgrade-nix": "heavy",
  develop: "entry",
  "dev-shell": "entry",
  "print-dev-env": "entry",
  // Evaluation and sources: the cache cannot help these, unless they import what they build.
  "derivation show": "medium",
  "derivation instantiate": "medium",
  "show-derivation": "medium",
  edit: "medium",
  "flake bake": "medium",
  "provenance verify": "medium",
  eval: "medium",
  "flake archive": "medium",
  "flake clone": "medium",
  "flake info": "medium",
  "flake init": "medium",
  "flake lock": "medium",
  "flake metadata": "medium",
  "flake new": "medium",
  "flake prefetch": "medium",
  "flake prefetch-inputs": "medium",
  "flake show": "medium",
  "flake update": "medium",
  "registry pin": "medium",
  "registry resolve": "medium",
  repl: "medium",
  search: "medium",
  "store prefetch-file": "medium",
  "why-depends": "medium",
  log: "light",
  "path-info": "light",
  "config show": "light",
  "config check": "light",
  "show-config": "light",
  doctor: "light",
  daemon: "light",
  "nario export": "light",
  "nario import": "light",
  "nario list": "light",
  "provenance show": "light",
  ps: "light",
  "store build-trace": "light",
  "store roots-daemon": "light",
  "derivation add": "light",
  "describe-stores": "light",
  "formatter path": "light",
  "flake help": "light",
  "hash convert": "light",
  "hash file": "light",
  "hash path": "light",
  "hash-file": "light",
  "hash-path": "light",
  "hash to-base16": "light",
  "hash to-base32": "light",
  "hash to-base64": "light",
  "hash to-sri": "light",
  "to-base16": "light",
  "to-base32": "light",
  "to-base64": "light",
  help: "light",
  "help-stores": "light",
  "key convert-secret-to-public": "light",
  "key generate-secret": "light",
  "nar cat": "light",
  "nar dump-path": "light",
  "nar ls": "light",
  "nar pack": "light",
  "cat-nar": "light",
  "ls-nar": "light",
  "profile diff-closures": "light",
  "profile history": "light",
  "profile list": "light",
  "profile remove": "light",
  "profile rollback": "light",
  "profile wipe-history": "light",
  "realisation info": "light",
  "registry add": "light",
  "registry list": "light",
  "registry remove": "light",
  "store add": "light",
  "store add-file": "light",
  "store add-path": "light",
  "store cat": "light",
  "store copy-log": "light",
  "store copy-sigs": "light",
  "store delete": "light",
  "store diff-closures": "light",
  "store dump-path": "light",
  "store gc": "light",
  "store info": "light",
  "store ls": "light",
  "store optimise": "light",
  "store path-from-hash-part": "light",
  "store ping": "light",
  "store sign": "light",
  "store verify": "light",
  "add-to-store": "light",
  "cat-store": "light",
  "copy-sigs": "light",
  "diff-closures": "light",
  "dump-path": "light",
  "ls-store": "light",
  "optimise-store": "light",
  "ping-store": "light",
  "sign-paths": "light",
  verify: "light",
  // Nix's own, for itself and for whoever makes its manual: nothing may be added to these.
  "__build-remote": "light",
  "__dump-args": "light",
  "__dump-builtins": "light",
  "__dump-cli": "light",
  "__dump-language": "light",
  "__dump-xp-features": "light",
};

/** The first words of commands with two. */
export const nixGroups: readonly string[] = [
  ...new Set(Object.keys(nixCommandClasses).flatMap((name) => (name.includes(" ") ? [name.split(" ")[0] ?? ""] : []))),
];

/**
 * Commands that start a program or a shell as the user's: these are attached by flags, since NIX_CONFIG would leak
 * into what they start and outlive the attachment (tried on 2.8). Every other one gets NIX_CONFIG.
 */
export const startsProgram: readonly string[] = ["develop", "dev-shell", "shell", "env shell", "run", "fmt", "formatter run"];

/** Commands whose `-c`/`--command` takes all the rest. */
export const takesRest: readonly string[] = ["develop", "dev-shell", "shell", "env shell"];
export const restOptions: readonly string[] = ["-c", "--command"];

/** What one of the other tools makes of its words: `base`, or the highest class that one of its words names. */
export interface ToolWords {
  readonly base: NixClass;
  readonly words: Readonly<Record<string, NixClass>>;
  /** Options that take one word, beyond everybody's. */
  readonly one: readonly string[];
  /** Short options without a value, each as its letter: several may stand behind one dash. */
  readonly letters: string;
}

const heavy = (...words: readonly string[]): Record<string, NixClass> => Object.fromEntries(words.map((word) => [word, "heavy"]));
const rebuilds = heavy(
  "switch",
  "boot",
  "test",
  "build",
  "build-vm",
  "build-vm-with-bootloader",
  "build-image",
  "dry-build",
  "dry-activate",
);
const rebuildOptions = ["--flake", "--target-host", "--build-host", "-p", "-A", "-f", "--profile-name", "--specialisation", "-c"];
const expressions = ["-A", "--attr"];

/** From nix-build.cc, nix-env.cc, nix-store.cc and the tools' manuals; options that are everybody's stand below. */
export const toolWords: Readonly<Record<Exclude<NixName, "nix">, ToolWords>> = {
  "nix-build": { base: "heavy", words: {}, one: [...expressions, "-o", "--out-link", "--drv-link", "--exclude"], letters: "EpKkQvi" },
  "nix-shell": {
    base: "entry",
    words: {},
    one: [...expressions, "--run", "--command", "--exclude", "--keep", "-i", "-o", "--out-link", "--drv-link"],
    letters: "EpKkQv",
  },
  "nix-env": {
    base: "light",
    words: { ...heavy("-i", "--install", "-u", "--upgrade", "--set"), "-q": "medium", "--query": "medium" },
    one: ["-p", "--profile", "-f", "--file", "--system-filter", "--from-profile", "--force-name", "--priority"],
    letters: "iuqeAaPsbcErKkQvSG",
  },
  "nix-store": {
    base: "light",
    words: heavy("-r", "--realise", "--realize", "--repair-path", "--repair", "-f", "--force-realise", "--force-realize"),
    one: ["--add-root", "-b", "--binding", "--max-freed"],
    letters: "rqRdfulKkQv",
  },
  "nix-instantiate": { base: "medium", words: {}, one: [...expressions, "--add-root"], letters: "EKkQv" },
  "nix-channel": { base: "light", words: { "--update": "medium" }, one: [], letters: "v" },
  "nix-collect-garbage": { base: "light", words: {}, one: ["--delete-older-than", "--max-freed"], letters: "dv" },
  // It copies closures from or to a host: no cache is asked on this side.
  "nix-copy-closure": { base: "medium", words: {}, one: [], letters: "sv" },
  "nix-prefetch-url": { base: "medium", words: {}, one: ["-A", "--attr", "--type", "--name"], letters: "v" },
  "nixos-rebuild": { base: "light", words: rebuilds, one: rebuildOptions, letters: "vLKk" },
  "darwin-rebuild": { base: "light", words: { ...rebuilds, ...heavy("check") }, one: rebuildOptions, letters: "vLKk" },
  "home-manager": { base: "light", words: heavy("switch", "build", "test"), one: ["--flake", "-A", "-f", "-b"], letters: "vnLKk" },
};

/** nix.conf's settings that are no switches: as `--name`, and many as `--extra-name`, each takes one word. */
const settings: readonly string[] = [
  ...["access-tokens", "allowed-impure-host-deps", "allowed-uris", "allowed-users", "bash-prompt", "bash-prompt-prefix"],
  ...["bash-prompt-suffix", "build-dir", "build-hook", "build-poll-interval", "build-users-group", "builders"],
  ...["commit-lock-file-summary", "commit-lockfile-summary", "connect-timeout", "cores", "diff-hook", "download-attempts"],
  ...["download-buffer-size", "download-speed", "eval-cores", "eval-profile-file", "eval-profiler", "eval-profiler-frequency"],
  ...["eval-system", "experimental-features", "extra-platforms", "flake-registry", "gc-reserved-space", "hashed-mirrors"],
  ...["http-connections", "id-count", "ignored-acls", "json-log-path", "log-format", "log-lines", "max-build-log-size"],
  ...["max-call-depth", "max-free", "max-jobs", "max-silent-time", "max-substitution-jobs", "min-free", "min-free-check-interval"],
  ...["nar-buffer-size", "narinfo-cache-meta-ttl", "narinfo-cache-negative-ttl", "narinfo-cache-positive-ttl", "netrc-file"],
  ...["nix-path", "plugin-files", "post-build-hook", "pre-build-hook", "repeat", "sandbox-build-dir", "sandbox-dev-shm-size"],
  ...["sandbox-paths", "secret-key-files", "ssl-cert-file", "stalled-download-timeout", "start-id", "store", "substituters"],
  ...["system", "system-features", "tarball-ttl", "timeout", "trusted-public-keys", "trusted-substituters", "trusted-users"],
  ...["upgrade-nix-store-path-url", "user-agent-suffix", "warn-large-path-threshold"],
];

/** Options of any of the tools that take one word. */
export const oneWordOptions: readonly string[] = [
  ...settings.flatMap((name) => [`--${name}`, `--extra-${name}`]),
  ...["-I", "-j", "--include", "--eval-store", "--update-input", "--inputs-from", "--reference-lock-file", "--output-lock-file"],
];

/** Options of `nix` alone that take one word. */
export const nixOneWordOptions: readonly string[] = [
  ...["--apply", "--bundler", "--dest", "--exclude", "--expected-hash", "--expr", "--file", "--from", "--hash-algo", "--hash-type"],
  ...["--keep", "--keep-env-var", "--key-file", "--key-name", "--max", "--mode", "--name", "--nix-store-paths-url", "--older-than"],
  ...["--out-link", "--phase", "--priority", "--profile", "--regex", "--registry", "--sigs-needed", "--substituter", "--template"],
  ...["--to", "--type", "--unset", "--unset-env-var", "--write-to", "-f", "-k", "-o", "-p", "-t", "-u"],
];

/** Options that take two words; the second line's are of `nix` alone. */
export const twoWordOptions: readonly string[] = [
  "--option",
  "--arg",
  "--argstr",
  "--arg-from-file",
  "--override-flake",
  "--override-input",
];
export const nixTwoWordOptions: readonly string[] = ["--redirect", "--set-env-var"];

/** Short options of `nix` without a value, whatever the command: several may stand behind one dash. */
export const nixLetters = "Lvir";

/** Options that stand alone, in any tool: behind one of them `--` ends the options. The list need not be complete. */
export const aloneOptions: readonly string[] = [
  ...["--accept-flake-config", "--all", "--check", "--commit-lock-file", "--debug", "--derivation", "--fallback", "--ignore-env"],
  ...["--ignore-environment", "--impure", "--indirect", "--json", "--keep-failed", "--keep-going", "--no-check-sigs", "--no-eval-cache"],
  ...["--no-link", "--no-out-link", "--no-registries", "--no-sandbox", "--no-update-lock-file", "--no-use-registries"],
  ...["--no-write-lock-file", "--packages", "--print-build-logs", "--print-out-paths", "--pure", "--quiet", "--rebuild"],
  ...["--recreate-lock-file", "--refresh", "--show-trace", "--upgrade", "--verbose"],
];

/** They make a command print and exit, wherever they stand among the options. */
export const printingOptions: readonly string[] = ["--help", "--version"];

/** They make a heavy command tell what it would do: sh attaches it all the same, unattached it passes. */
export const sparingOptions: readonly string[] = ["--dry-run", "--no-build", "dry-build", "dry-activate"];

/**
 * Settings that decide whether, where and with which password binary caches are used, old names too (globals.hh): as flags, behind
 * `--option` and in NIX_CONFIG. The fast path leaves every one of them to the slow path.
 */
export const substitutionSettings: readonly string[] = [
  "substituters",
  "binary-caches",
  "substitute",
  "build-use-substitutes",
  "trusted-public-keys",
  "binary-cache-public-keys",
  "netrc-file",
  "store",
];

/** The same, as options that are no settings with a value: `--offline` turns every substituter off, and so builds (tried on 2.8). */
export const offlineOptions: readonly string[] = ["--offline", "--no-net"];

/** `--name` where it takes a word, `--no-name` where it is a switch. */
export const substitutionOptions: readonly string[] = [
  ...substitutionSettings.flatMap((name) => (isSwitch(name) ? [`--no-${name}`] : [`--${name}`])),
  ...offlineOptions,
];

/** Whether a substitution setting is on or off, rather than a value. */
export function isSwitch(setting: string): boolean {
  return setting === "substitute" || setting === "build-use-substitutes";
}

/** Whether one of substitutionOptions takes no word, in whatever version and under whatever name. */
export function standsForItself(option: string): boolean {
  return offlineOptions.includes(option) || isSwitch(option.replace(/^--no-/, ""));
}
