/** What a record shows and what it does not, in words: a proof that is read as more than it is does harm. */
import type { BazelProof, NixProof, ProofRecord } from "./record.ts";

type Facts = Pick<ProofRecord, "proved" | "mode" | "parts" | "bazel" | "nix">;

export function shownWords({ proved, bazel, nix, mode }: Facts): readonly string[] {
  if (!proved) return [];
  return [...(bazel === null ? [] : bazelWords(bazel, mode)), ...(nix === null ? [] : nixWords(nix))];
}

function bazelWords({ rebuild, fill, targets }: BazelProof, mode: ProofRecord["mode"]): string[] {
  const processes = rebuild?.processes;
  if (processes === null || processes === undefined) return [];
  const { hits, misses, other } = processes;
  const from = fill === null ? "the cache had been filled by others" : "the first build, or others before it, filled the cache";
  const remote = processes.remote + (fill?.processes?.remote ?? 0);
  return [
    `${counted(hits, "process")} of ${hits + misses + other} of ${targets.join(" ")} answered by the attached Bazel cache, into an empty output base, with uploads and every disk cache off; ${from}`,
    ...(mode === "executor-backed" ? [`${counted(remote, "process")} run by an executor`] : []),
  ];
}

function nixWords({ path, publicKey, substituted }: NixProof): string[] {
  if (path === null || publicKey === null || substituted === null) return [];
  const name = publicKey.slice(0, publicKey.indexOf(":"));
  const [paths, are] = [counted(substituted.byCache, "store path"), substituted.byCache === 1 ? "was" : "were"];
  return [
    `${paths} ${are} fetched from the attached Nix cache into an empty store, without a token, a netrc or any user's configuration; ${path.path} is signed by the key ${name}`,
    "this machine's Nix takes that cache from this user",
  ];
}

export function notShownWords({ mode, parts, bazel }: Facts, localProof: boolean): readonly string[] {
  return [
    ...(!localProof ? [] : ["a local proof (loopback, a port-forward) is not product evidence"]),
    ...(bazel === null
      ? []
      : [
          ...(mode === "executor-backed" ? [] : ["cache hits are not remote execution: nothing was executed elsewhere"]),
          "repository fetches came before the cache, which cannot help with them",
          "targets that were not named, and actions that may not be cached",
          ...(bazel.fill === null && bazel.rebuild !== null ? ["that this machine could fill the cache: uploads are off"] : []),
        ]),
    ...(parts.includes("bazel") ? [] : ["anything of Bazel: it was not asked for"]),
    ...(parts.includes("nix") ? ["store paths that were not fetched"] : ["anything of Nix: it was not asked for"]),
  ];
}

function counted(count: number, what: string): string {
  return `${count} ${count === 1 ? what : what.endsWith("s") ? `${what}es` : `${what}s`}`;
}
