/** Fetches a store path from the attached Nix cache into a store of the proof's own, as anybody could: nothing of the user's is asked, used or changed. */
import { createPublicKey, verify } from "node:crypto";
import { mkdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Environment } from "../../contract/environment.ts";
import { NixLog } from "../../contract/nix/activities.ts";
import { fingerprint, keyBytes, type StorePathFacts, signaturesBy } from "../../contract/proof/fingerprint.ts";
import type { NixAttachmentSeen, NixSeen, PathSeen, SubstitutionSeen } from "../../contract/proof/nix.ts";
import { printable } from "../../contract/text.ts";
import { findRealTool } from "../../shim/tool.ts";
import type { Context } from "../context.ts";
import { environmentOf } from "../tool.ts";
import { nixAttachment, provedStatus } from "./attachment.ts";
import { foundPath, namedPath } from "./nix-path.ts";
import { type NixRun, runNix } from "./nix-run.ts";
import { makeScratch, removeScratch } from "./scratch.ts";

type Attached = Extract<NixAttachmentSeen, { state: "attached" }>;

export interface NixProved {
  readonly version: string | null;
  readonly seen: NixSeen;
}

/** @param named a store path or an installable; undefined: one is looked for */
export async function proveNix(
  named: string | undefined,
  before: NixAttachmentSeen,
  context: Context,
  signal: AbortSignal,
): Promise<NixProved> {
  if (before.state === "unattached" || signal.aborted)
    return { version: null, seen: { before, after: undefined, path: undefined, substitution: undefined } };
  const { output } = context;
  const scratch = makeScratch(tmpdir());
  try {
    const nix = new ScratchNix(scratch, context.env, signal);
    const version = await nix.version();
    output.notice("flywheel: looking for a store path that the cache has");
    const path = await choose(named, before, nix, context.env, signal);
    if (path.state === "none") return { version, seen: { before, after: undefined, path, substitution: undefined } };
    output.notice(`flywheel: fetching ${path.path} into an empty store, without a token`);
    const substitution = await nix.fetch(path.path, before, (line) => output.notice(printable(line, 1000)));
    await provedStatus(context, signal);
    return { version, seen: { before, after: await nixAttachment(context), path, substitution } };
  } finally {
    await removeScratch(scratch);
  }
}

function choose(
  named: string | undefined,
  { endpoint, publicKey }: Attached,
  nix: ScratchNix,
  env: Environment,
  signal: AbortSignal,
): Promise<PathSeen> {
  const { storeDir } = nix;
  if (named !== undefined) return namedPath(named, storeDir, (installable) => nix.evaluate(installable));
  return foundPath({ endpoint, publicKey, storeDir }, env, signal);
}

/** A store that is empty but for what is fetched into it; paths in it have the names that they have in the machine's own. */
class ScratchNix {
  readonly storeDir: string;
  readonly #directory: string;
  readonly #store: string;
  readonly #own: Environment;
  readonly #env: Record<string, string>;
  readonly #signal: AbortSignal;

  constructor(directory: string, env: Environment, signal: AbortSignal) {
    for (const name of ["home", "cache", "config", "root"]) mkdirSync(join(directory, name));
    this.storeDir = env["NIX_STORE_DIR"] || "/nix/store";
    this.#directory = directory;
    this.#store = `local?root=${join(directory, "root")}`;
    this.#signal = signal;
    const kept = ["NIX_STORE_DIR", "NIX_CONF_DIR", "NIX_SSL_CERT_FILE", "SSL_CERT_FILE", "TMPDIR"];
    this.#env = {
      ...Object.fromEntries(kept.flatMap((name) => (env[name] ? [[name, env[name]]] : []))),
      PATH: findRealTool("nix", env).path,
      LANG: "C.UTF-8",
      HOME: join(directory, "home"),
      XDG_CACHE_HOME: join(directory, "cache"),
      XDG_CONFIG_HOME: join(directory, "config"),
      // Whatever could answer for somebody in particular.
      ATTIC_TOKEN: "",
      NETRC: "/dev/null",
      NIX_USER_CONF_FILES: "/dev/null",
      NIX_CONFIG: "",
    };
    // An installable may be private: it is evaluated as its owner would, and in the scratch store too.
    this.#own = { ...environmentOf(env), PATH: findRealTool("nix", env).path, XDG_CACHE_HOME: join(directory, "cache") };
  }

  async version(): Promise<string | null> {
    const { stdout } = await this.#run("nix", ["--version"]);
    return /\d+\.\d+\S*/.exec(stdout)?.[0] ?? null;
  }

  evaluate(installable: string): Promise<NixRun> {
    const features = ["--extra-experimental-features", "nix-command flakes", "--option", "allow-import-from-derivation", "false"];
    return this.#run("nix", [...features, "eval", "--store", this.#store, "--read-only", "--raw", installable], { env: this.#own });
  }

  async fetch(path: string, { endpoint, publicKey }: Attached, show: (line: string) => void): Promise<SubstitutionSeen> {
    const log = new NixLog({ endpoint: () => endpoint.url, buildLogs: "hidden" });
    const started = performance.now();
    const run = await this.#run(
      "nix-store",
      ["--realise", path, ...this.#only(endpoint.url, publicKey), "--log-format", "internal-json", "-v"],
      {
        onLine: (line) => {
          const shown = log.add(line);
          if (shown?.startsWith("copying path") === true) show(shown);
          return shown;
        },
      },
    );
    const wallMs = Math.round(performance.now() - started);
    const { exitCode, said } = run;
    const signature = exitCode === 0 ? await this.#signature(path, publicKey) : "unchecked";
    return { exitCode, interrupted: this.#signal.aborted, wallMs, said: exitCode === 0 ? "" : said, counts: log.counts, signature };
  }

  /** One cache, one key, no token, no building; the system's nix.conf has no say in these. */
  #only(url: string, publicKey: string): readonly string[] {
    const settings = {
      substituters: url,
      "trusted-public-keys": publicKey,
      "require-sigs": "true",
      "netrc-file": "/dev/null",
      substitute: "true",
      fallback: "false",
      "max-jobs": "0",
      builders: "",
      "download-attempts": "2",
      "connect-timeout": "5",
    };
    return Object.entries(settings).flatMap(([name, value]) => ["--option", name, value]);
  }

  /** By our own arithmetic: Nix asks for no signature where a path's content gives its name. */
  async #signature(path: string, publicKey: string): Promise<SubstitutionSeen["signature"]> {
    const facts = await this.#facts(path);
    if (facts === undefined) return "unchecked";
    const signatures = signaturesBy(publicKey, facts.signatures);
    if (signatures.length === 0) return "missing";
    return signatures.some((signature) => isSignedBy(publicKey, facts, signature)) ? "valid" : "invalid";
  }

  async #facts(path: string): Promise<StorePathFacts | undefined> {
    const ask = (what: string): Promise<NixRun> => this.#run("nix-store", ["--query", what, path]);
    const [hash, size, references] = [await ask("--hash"), await ask("--size"), await ask("--references")];
    const info = await this.#run("nix", ["--extra-experimental-features", "nix-command", "path-info", "--json", path]);
    const narHash = hash.stdout.trim();
    const narSize = Number(size.stdout.trim());
    if ([hash, size, references, info].some(({ exitCode }) => exitCode !== 0) || !/^sha256:[a-z0-9]{52}$/.test(narHash)) return undefined;
    const signatures = signaturesOf(info.stdout);
    if (signatures === undefined || !Number.isSafeInteger(narSize)) return undefined;
    return { path, narHash, narSize, references: references.stdout.split("\n").filter((line) => line !== ""), signatures };
  }

  #run(
    program: string,
    args: readonly string[],
    more: { env?: Environment; onLine?: (line: string) => string | undefined } = {},
  ): Promise<NixRun> {
    const store = args.includes("--store") || args.includes("--version") ? [] : ["--store", this.#store];
    return runNix({
      program,
      args: [...args, ...store],
      env: more.env ?? this.#env,
      cwd: more.env === undefined ? this.#directory : process.cwd(),
      signal: this.#signal,
      ...(more.onLine === undefined ? {} : { onLine: more.onLine }),
    });
  }
}

/** Of `nix path-info --json`: a list before Nix 2.19, since then an object by path. */
function signaturesOf(json: string): readonly string[] | undefined {
  try {
    const raw: unknown = JSON.parse(json);
    const [entry]: unknown[] = typeof raw === "object" && raw !== null ? Object.values(raw) : [];
    if (typeof entry !== "object" || entry === null) return undefined;
    const signatures: unknown = "signatures" in entry ? entry.signatures : [];
    return Array.isArray(signatures) ? signatures.filter((each) => typeof each === "string") : undefined;
  } catch {
    return undefined;
  }
}

/** SubjectPublicKeyInfo of an Ed25519 key (RFC 8410), less its 32 bytes. */
const spki = Buffer.from("302a300506032b6570032100", "hex");

function isSignedBy(publicKey: string, facts: StorePathFacts, signature: string): boolean {
  const key = createPublicKey({ key: Buffer.concat([spki, Buffer.from(keyBytes(publicKey), "base64")]), format: "der", type: "spki" });
  return verify(null, Buffer.from(fingerprint(facts)), key, Buffer.from(signature, "base64"));
}
