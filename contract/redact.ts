/**
 * Takes out of texts what says who and where somebody is: names, addresses, tokens, home directories. The same name gets
 * the same placeholder in every text (`node-1`, `addr-3`), so that what is left can still be followed; keys and tokens are
 * removed without a trace. It works by what is known and by pattern, and errs on taking out too much.
 */
import { isAddress, isLoopback } from "./endpoint.ts";

export interface Known {
  /** This machine's own host name. */
  readonly hostNames: readonly string[];
  /** Login names of whoever this is. */
  readonly users: readonly string[];
  /** Directories by what stands for them: `["<state>", "/home/ann/.local/state/gloriousflywheel"]`. */
  readonly directories: readonly (readonly [placeholder: string, path: string])[];
  /** Directories of work: `workspace-1`. */
  readonly workspaces: readonly string[];
  /** Tailnet names and MagicDNS suffixes. */
  readonly tailnets: readonly string[];
  /** Fully qualified names of nodes; their first labels count too, where they are no everyday word. */
  readonly nodes: readonly string[];
}

export const redactedKinds = ["names", "addresses", "tokens", "users", "paths"] as const;
export type RedactedKind = (typeof redactedKinds)[number];
/** How many of each were taken out of one text. */
export type Redactions = Readonly<Record<RedactedKind, number>>;

export interface Redacted {
  readonly text: string;
  readonly redactions: Redactions;
}

const removed = "<removed>";

/**
 * Words that texts of this program are full of: as a name of a machine or a user they say nothing of anybody, and
 * without them nothing would make sense.
 */
const everyday = new Set(
  `admin attached attachment bazel bazel-cache bazelisk build builder cache candidate ci cluster command config container daemon debian
  default degraded derp desktop detached dev direct docker down endpoint env error escape false fedora flywheel grpc grpcs guard
  health healthy home host http https info laptop linux localhost log mac macbook machine main mode name nix nix-cache nixos node
  nobody none null operator peer pid profile proxy reason refusal relay root runner running server service source state status
  tailnet tailscale test true tun ubuntu unattached unknown user users version warn work workspace`
    .split(/\s+/)
    .filter((word) => word !== ""),
);

/** Hosts that everybody knows, and that only documentation is on. */
const publicHosts = new Set([
  "tailscale.com",
  "login.tailscale.com",
  "github.com",
  "headscale.net",
  "nixos.org",
  "cache.nixos.org",
  "bazel.build",
]);

/** Names that end so are taken for host names wherever they stand; file names do not. */
const hostEndings =
  "ts\\.net|local|internal|intranet|lan|corp|home\\.arpa|example|test|invalid|localdomain|com|net|org|io|dev|cloud|app|ai|co|eu|de|uk|fr|ch|nl|us|ca|au|jp|info|edu|gov";

const fileEndings = new Set([
  "bazel",
  "bazelrc",
  "cjs",
  "conf",
  "gz",
  "js",
  "json",
  "jsonl",
  "lock",
  "log",
  "md",
  "mjs",
  "nix",
  "rc",
  "sh",
  "sock",
  "socket",
  "toml",
  "ts",
  "txt",
]);

/** A key of this name holds what nobody else may see. */
const secretKey =
  /^auth$|token|passw|passphrase|secret|credential|authorization|cookie|api[-_ ]?key|private[-_ ]?key|auth[-_ ]?key|public[-_ ]?key|header/i;

/**
 * Each has what is kept in its first group, or none. Here and below a run of characters is bounded or begins where no other
 * could: a hostile line costs no more than its length is worth.
 */
const tokenPatterns: readonly RegExp[] = [
  /-----BEGIN [A-Z ]+-----[\s\S]*?(?:-----END [A-Z ]+-----|$)/g,
  /\b[th]skey-[A-Za-z0-9_-]+/g,
  /\b[a-z]*key:[0-9a-fA-F]{8,}/g,
  /\b(?:nlpub|nlpriv|tlpub|tlpriv):[0-9a-fA-F]{8,}/g,
  /\b(Bearer\s+)[A-Za-z0-9+/_.~=-]{6,}/gi,
  // In prose the words go on in small letters.
  /\b((?:Basic|Digest|Negotiate|Token)\s+)(?=[a-z]*[A-Z0-9+/=])[A-Za-z0-9+/_.~=-]{6,}/g,
  // Of whatever scheme, and all of a cookie's parts.
  /(authorization["']?\s{0,8}[:=]\s{0,8}["']?)[A-Za-z][A-Za-z0-9_-]{0,32}[ \t]+(?!<removed>)[^\s"',;]+/gi,
  /(cookie["']?\s{0,8}[:=]\s{0,8}["']?)[^\s"';]+(?:;[ \t]{0,8}[^\s"';]+)*/gi,
  /(--[a-z-]{0,32}(?:token|passw(?:or)?d|passphrase|secret|api-?key|auth-?key)[ \t]+["']?)(?![-<])[^\s"']+/gi,
  /((?:^|[^a-z])[a-z][a-z0-9+.-]{0,15}:\/\/)[^/\s"'@]{1,512}@/gi,
  /\beyJ[A-Za-z0-9_-]{6,}\.[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]*)?/g,
  /\b(?:gh[opsur]_|github_pat_|glpat-|gl[a-z]{2,4}t-|xox[a-z]-|sk-|sk_live_|sk_test_|npm_|pypi-|hf_|dop_v1_)[A-Za-z0-9_-]{8,}/g,
  /\b(?:AKIA|ASIA)[A-Z0-9]{16}\b/g,
  // A Nix key: <name>:<base64 of 32 or 64 bytes>.
  /(?<![A-Za-z0-9._-])[A-Za-z0-9._-]+:[A-Za-z0-9+/]{42,88}={1,2}/g,
];

/** Whether a text by itself looks like something that nobody else may see: a token of a known make, a password in a URL. */
export function looksSecret(text: string): boolean {
  return tokenPatterns.some((pattern) => text.search(pattern) !== -1);
}

/** Whether what stands under this name is by the name alone nobody else's to see: `authorization`, `x-api-key`. */
export function isSecretName(name: string): boolean {
  return secretKey.test(name);
}

const secretAssignment =
  /((?:^|[^A-Za-z0-9])["']?[A-Za-z0-9_.-]{0,64}(?:token|passw(?:or)?d|passphrase|secret|credential|authorization|cookie|api[-_]?key|private[-_]?key|auth[-_]?key|public[-_]?key|header)[A-Za-z0-9_.-]{0,64}["']?\s*[:=]\s*)("(?:[^"\\\n]|\\.)*"|'[^'\n]*'|[^\s"',;&)}\]]+)/gi;

/** Where a word begins although a letter stands before it: behind `%2F` of a URL, behind `\n` of a JSON text that was cut. */
const behindEscape = "(?<=%[0-9A-Fa-f]{2}|\\\\[bfnrt])";

/** One redactor for all the texts that belong together. Feed it everything to `learn` first, then `redact`. */
export class Redactor {
  readonly #placeholders = new Map<string, string>();
  readonly #counters = new Map<string, number>();
  readonly #known: Known;
  readonly #tailnets: string[] = [];
  readonly #names = new Map<string, "name" | "node">();
  #count: Record<RedactedKind, number> = none();

  constructor(known: Known) {
    this.#known = known;
    for (const name of known.tailnets) this.#addTailnet(name);
    for (const node of known.nodes) this.#addNode(node);
    for (const host of known.hostNames) this.#addNode(host);
  }

  /** Takes note of the host names and tailnets that a text names plainly, so that they are found where they are not plain. */
  learn(text: string): void {
    for (const [, suffix] of text.matchAll(/magic_?dns_?suffix["']?\s*[:=]\s*["']([^"'\s]+)["']/gi)) this.#addTailnet(suffix ?? "");
    for (const [, name] of text.matchAll(/^\s*\[tailnet\][^[]*?^\s*name\s*=\s*["']([^"'\n]+)["']/gm)) this.#addTailnet(name ?? "");
    // daemon/discovery/trust.ts says so in the log.
    for (const [, name, suffix] of text.matchAll(/\bon tailnet (\S{1,253}) \((?:([^\s()]{1,253})\))?/g)) {
      this.#addTailnet(name ?? "");
      this.#addTailnet(suffix ?? "");
    }
    for (const [, host] of text.matchAll(/\b[a-z][a-z0-9+.-]{0,15}:\/\/(?:[^/\s"'@]{0,512}@)?([A-Za-z0-9_][A-Za-z0-9._-]*)/gi)) {
      const name = (host ?? "").toLowerCase().replace(/\.+$/, "");
      if (name !== "" && !isAddress(name) && !isLoopback(name) && !publicHosts.has(name)) this.#addName(name, "name");
    }
  }

  /** @param text of any kind; JSON is better given to `redactJson`, which knows its keys */
  redact(text: string): Redacted {
    this.#count = none();
    return { text: this.#text(text), redactions: this.#count };
  }

  /** JSON of one value and a newline: every text in it is redacted, keys too, and what a telling key holds is removed. */
  redactJson(value: unknown, indent?: number): Redacted {
    this.#count = none();
    const text = `${JSON.stringify(this.#value(value, undefined), undefined, indent)}\n`;
    return { text, redactions: this.#count };
  }

  /** JSON objects, one a line; a line that is none is redacted as text. */
  redactJsonLines(lines: readonly string[]): Redacted {
    this.#count = none();
    const clean = lines.map((line) => {
      try {
        return JSON.stringify(this.#value(JSON.parse(line), undefined));
      } catch {
        return this.#text(line);
      }
    });
    return { text: clean.map((line) => `${line}\n`).join(""), redactions: this.#count };
  }

  #value(value: unknown, key: string | undefined): unknown {
    if (typeof value === "string") {
      if (key !== undefined && secretKey.test(key) && value !== "") return this.#took("tokens", removed);
      return this.#text(value);
    }
    if (Array.isArray(value)) return value.map((item) => this.#value(item, key));
    if (typeof value !== "object" || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([name, item]) => [this.#key(name), this.#value(item, name)]));
  }

  /** A plain word is a field's name, whatever else may be called so. */
  #key(name: string): string {
    return /^[a-z][A-Za-z]*$/.test(name) ? name : this.#text(name);
  }

  /** The order is the point: tokens before the names that may stand in them, longer paths before shorter, names before their parts. */
  #text(original: string): string {
    let text = original;
    for (const pattern of tokenPatterns) {
      text = text.replaceAll(pattern, (_all, kept: unknown) => {
        const before = typeof kept === "string" ? kept : "";
        return `${before}${this.#took("tokens", removed)}${before.endsWith("://") ? "@" : ""}`;
      });
    }
    text = text.replaceAll(secretAssignment, (all, before: string, value: string) => {
      if (value.includes(removed) || /^(?:["']{2}|true|false|null|none|not-required|missing)$/i.test(value)) return all;
      const quote = /^["']/.exec(value)?.[0] ?? "";
      return `${before}${quote}${this.#took("tokens", removed)}${quote}`;
    });
    // Long and without words in it: a token of a kind that has no name here. Digests and keys go too.
    text = text.replaceAll(/(?<![A-Za-z0-9_+/-])[A-Za-z0-9_+-]{32,}={0,2}(?![A-Za-z0-9_+-])/g, (word) =>
      tokenLike(word) ? this.#took("tokens", removed) : word,
    );
    text = this.#paths(text);
    for (const name of this.#tailnets.toSorted(longestFirst).filter((one) => one.includes("@")))
      text = this.#whole(text, name, "tailnet", "names");
    text = text.replaceAll(/(?<![A-Za-z0-9._%+-])[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+/g, (email) =>
      this.#named("email", email.toLowerCase(), "names"),
    );
    text = this.#hosts(text);
    text = this.#addresses(text);
    text = text.replaceAll(/\bn[A-Za-z0-9]{4,}CNTRL\b/g, (id) => this.#named("nodeid", id, "names"));
    for (const user of this.#known.users) if (!isEveryday(user)) text = this.#whole(text, user, "user", "users");
    return text;
  }

  #paths(original: string): string {
    let text = original;
    const places = [
      ...this.#known.directories.map(([placeholder, path]) => ({ path, placeholder: () => placeholder })),
      ...this.#known.workspaces.map((path) => ({ path, placeholder: () => this.#placeholder("workspace", path) })),
    ].filter(({ path }) => path.length > 1);
    for (const { path, placeholder } of places.toSorted((a, b) => b.path.length - a.path.length)) {
      text = text.replaceAll(new RegExp(`${escaped(path)}(?![A-Za-z0-9_.-])`, "g"), () => this.#took("paths", placeholder()));
    }
    // A user of Windows, whose directories WSL shows, may have a space in his name.
    return text.replaceAll(
      /(\/home\/|[\\/]Users[\\/]{1,2})([^\\/\s"':,;)]+(?:(?<=[\\/]Users[\\/]+[^\\/]*)(?: [^\\/\s"':,;)]{1,64}){1,4}(?=[\\/]))?)/g,
      (_all, before: string, user: string) => `${before}${this.#named("user", user.toLowerCase(), "users")}`,
    );
  }

  #hosts(original: string): string {
    let text = original;
    for (const suffix of this.#tailnets.toSorted(longestFirst)) {
      const under = new RegExp(`(?<![A-Za-z0-9_.-])((?:[A-Za-z0-9_-]+\\.)+)${escaped(suffix)}\\.?(?![A-Za-z0-9_-]|\\.[A-Za-z0-9])`, "gi");
      text = text.replaceAll(under, (all) => this.#named("node", all.toLowerCase().replace(/\.$/, ""), "names"));
      text = this.#whole(text, suffix, "tailnet", "names");
    }
    text = text.replaceAll(/(?<![A-Za-z0-9_.-])(?:[A-Za-z0-9_-]+\.)+ts\.net\b/gi, (name) =>
      this.#named(name.split(".").length > 3 ? "node" : "tailnet", name.toLowerCase(), "names"),
    );
    for (const [name, kind] of [...this.#names].toSorted(([a], [b]) => longestFirst(a, b))) text = this.#whole(text, name, kind, "names");
    const named = new RegExp(`(?<![A-Za-z0-9_./-])(?:[A-Za-z0-9_-]+\\.)+(?:${hostEndings})(?![A-Za-z0-9_-]|\\.[A-Za-z0-9])`, "gi");
    const host = (name: string): string => (publicHosts.has(name.toLowerCase()) ? name : this.#named("name", name.toLowerCase(), "names"));
    // Three parts and more are a host's, whatever the last one is, unless it is a file's.
    return text
      .replaceAll(named, host)
      .replaceAll(/(?<![A-Za-z0-9_./-])(?:[A-Za-z0-9-]+\.){2,}([A-Za-z]{2,24})(?![A-Za-z0-9_-]|\.[A-Za-z0-9])/g, (name, ending: string) =>
        fileEndings.has(ending) ? name : host(name),
      );
  }

  #addresses(original: string): string {
    const address = (word: string): string => {
      // The resolver's own address is the same on every tailnet.
      if (!isAddress(word) || isLoopback(word) || word === "100.100.100.100") return word;
      const canonical = word.includes(":") ? new URL(`http://[${word}]/`).hostname : word;
      return this.#named("addr", canonical, "addresses");
    };
    return original
      .replaceAll(/(?<![0-9A-Za-z:.])[0-9A-Za-z:]+(?:\.\d{1,3}){0,3}(?![0-9A-Za-z])/g, (run) => inRun(run, address))
      .replaceAll(new RegExp(`(?:(?<![A-Za-z0-9.])|${behindEscape})\\d{1,3}(?:\\.\\d{1,3}){3}(?![A-Za-z0-9]|\\.\\d)`, "g"), address)
      .replaceAll(/(?<![A-Za-z0-9:])[0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){5}(?![A-Za-z0-9:])/g, (mac) =>
        this.#named("mac", mac.toLowerCase(), "addresses"),
      );
  }

  /** Wherever a name stands as a word of its own, in any case. A tag or Service of that name is no machine. */
  #whole(text: string, name: string, kind: string, counted: RedactedKind): string {
    // A user's name is part of other names: _bazel_ann, ann-laptop.
    const [before, after] = kind === "user" ? ["A-Za-z0-9", "A-Za-z0-9"] : ["A-Za-z0-9_.-", "A-Za-z0-9_-"];
    const pattern = new RegExp(`(?:(?<![${before}]|tag:|svc:)|${behindEscape})${escaped(name)}(?![${after}]|\\.[A-Za-z0-9])`, "gi");
    return text.replaceAll(pattern, () => this.#named(kind, name.toLowerCase(), counted));
  }

  #addTailnet(name: string): void {
    const clean = name.toLowerCase().replace(/^\.+|\.+$/g, "");
    if (clean !== "" && !isEveryday(clean) && !this.#tailnets.includes(clean)) this.#tailnets.push(clean);
  }

  #addNode(name: string): void {
    const clean = name.toLowerCase().replace(/\.+$/, "");
    this.#addName(clean, "node");
    const [label = ""] = clean.split(".");
    if (label === clean || isEveryday(label)) return;
    this.#addName(label, "node");
    // The short name is the same node.
    if (!this.#placeholders.has(`node ${label}`)) this.#placeholders.set(`node ${label}`, this.#placeholder("node", clean));
  }

  #addName(name: string, kind: "name" | "node"): void {
    if (name === "" || isEveryday(name) || this.#names.has(name)) return;
    this.#names.set(name, kind);
  }

  #named(kind: string, name: string, counted: RedactedKind): string {
    return this.#took(counted, this.#placeholder(kind, name));
  }

  /** This machine's user is `user`, by any name; everything else is numbered by its first appearance. */
  #placeholder(kind: string, name: string): string {
    if (kind === "user" && this.#known.users.some((user) => user.toLowerCase() === name)) return "user";
    const key = `${kind} ${name}`;
    const known = this.#placeholders.get(key);
    if (known !== undefined) return known;
    const next = (this.#counters.get(kind) ?? 0) + 1;
    this.#counters.set(kind, next);
    const placeholder = `${kind}-${next}`;
    this.#placeholders.set(key, placeholder);
    return placeholder;
  }

  #took(kind: RedactedKind, placeholder: string): string {
    this.#count[kind] += 1;
    return placeholder;
  }
}

function none(): Record<RedactedKind, number> {
  return { names: 0, addresses: 0, tokens: 0, users: 0, paths: 0 };
}

/** Two letters are no name that could be told from a word. */
function isEveryday(word: string): boolean {
  return word.length < 3 || everyday.has(word.toLowerCase());
}

function tokenLike(word: string): boolean {
  if (!/\d/.test(word) || !/[A-Za-z]/.test(word)) return false;
  // Words joined by dashes or underscores are names: gloriousflywheel-rbe-linux-x86_64.
  const longest = Math.max(...word.split(/[-_+]/).map((part) => part.length));
  return longest >= 24 || (/[A-Z]/.test(word) && /[a-z]/.test(word));
}

/** IPv6 addresses among words with colons between and behind them: `peer:fd7a::1`, a port, `fd7a::1: refused`. */
function inRun(run: string, address: (word: string) => string): string {
  const groups = run.split(":");
  const told: string[] = [];
  for (let at = 0; at < groups.length; ) {
    // `::` at an end makes nine groups of seven.
    let length = Math.min(9, groups.length - at);
    while (length > 2 && !isAddress(groups.slice(at, at + length).join(":"))) length -= 1;
    const found = length > 2 ? length : 1;
    const words = groups.slice(at, at + found).join(":");
    told.push(found > 1 && /[0-9a-f]/i.test(words) ? address(words) : words);
    at += found;
  }
  return told.join(":");
}

function longestFirst(a: string, b: string): number {
  return b.length - a.length;
}

function escaped(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\/-]/g, "\\$&");
}
