/** Which repository uses which profile: `[[repositories]]` of config.toml. Pure. */
import type { Config } from "./config.ts";
import type { Manifest } from "./manifest.ts";
import { printable } from "./text.ts";

/** One entry; whatever it names has to agree, and the first entry that agrees holds. */
export interface RepositoryRule {
  /** The repository, or a directory that repositories lie in. */
  readonly path: string | undefined;
  /** As the repository's manifest calls them. */
  readonly forgeScope: string | undefined;
  readonly operatorOverlay: string | undefined;
  readonly profile: string;
}

/** What of a workspace decides. */
export interface Repository {
  /** Links resolved. */
  readonly root: string;
  readonly manifest: Manifest;
}

/** The profile of a repository, and in words why; undefined where no rule speaks of it. */
export function profileOfRepository(
  config: Config,
  repository: Repository,
): { readonly profile: string; readonly why: string } | undefined {
  const rule = config.repositories.find((each) => agrees(each, repository));
  if (rule === undefined) return undefined;
  const { path, forgeScope, operatorOverlay } = rule;
  const named = [
    ...(path === undefined ? [] : [`path ${printable(path, 200)}`]),
    ...(forgeScope === undefined ? [] : [`forge_scope ${printable(forgeScope, 80)}`]),
    ...(operatorOverlay === undefined ? [] : [`operator_overlay ${printable(operatorOverlay, 80)}`]),
  ];
  return { profile: rule.profile, why: `[[repositories]] of config.toml, by ${named.join(" and ")}` };
}

function agrees({ path, forgeScope, operatorOverlay }: RepositoryRule, { root, manifest }: Repository): boolean {
  const own = manifest.state === "enrolled" ? manifest : undefined;
  return (
    (path === undefined || root === path || root.startsWith(path === "/" ? "/" : `${path}/`)) &&
    (forgeScope === undefined || own?.forgeScope === forgeScope) &&
    (operatorOverlay === undefined || own?.operatorOverlay === operatorOverlay)
  );
}
