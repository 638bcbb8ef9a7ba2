/** The Nix cache by its name and key: what makes it the same one, whatever its address. */

import { nixConfigLists } from "../../nix-config.ts";
import { isStale } from "../../stale.ts";
import type { Job, Setting } from "../model.ts";
import type { ParityLine } from "../report.ts";
import {
  byText,
  distinctSettings,
  jobsOnce,
  linesOf,
  placesOf,
  type Rule,
  shownHere,
  shownText,
  unknownWords,
  valuesOf,
  type World,
} from "./rule.ts";

const cacheLine = linesOf("nix-cache");
const keyLine = linesOf("nix-key");

export const nixCache: Rule = {
  id: "nix-cache",
  look(world) {
    const jobs = jobsOnce(world.repository);
    const names = jobs.flatMap((job) => valuesOf(job, "ATTIC_CACHE"));
    const servers = jobs.flatMap((job) => serversOf(job, world));
    const flake = world.repository.flake?.substituters ?? [];
    const urls = distinctSettings([...servers, ...jobs.flatMap(substitutersOf), ...flake]).filter((setting) => isShared(setting, world));
    return [
      ...[...byText(names).values()].flatMap((same) => comparedName(world, same)),
      ...[...byText(urls).values()].flatMap((same) => comparedUrl(world, same)),
    ];
  },
};

/** ATTIC_SERVER with the cache's name behind it, as Nix is given it. */
function serversOf(job: Job, { profile }: World): readonly Setting[] {
  const name = valuesOf(job, "ATTIC_CACHE")[0];
  return valuesOf(job, "ATTIC_SERVER").map((server) => ({
    ...server,
    text: `${server.text.replace(/\/+$/, "")}/${name?.text ?? profile.nix.cache}`,
    unknown: [...server.unknown, ...(name?.unknown ?? [])],
  }));
}

/** Texts of nix.conf that a job gives Nix: NIX_CONFIG, and the inputs of actions that install it. */
function configsOf(job: Job): readonly Setting[] {
  const inputs = job.foreign.flatMap((step) => [...step.inputs.values()]);
  return [
    ...valuesOf(job, "NIX_CONFIG"),
    ...inputs.filter(({ text }) => /^\s*(?:extra-)?(?:substituters|trusted-public-keys)\s*=/m.test(text)),
  ];
}

function listed(job: Job, list: "substituters" | "trustedPublicKeys"): readonly Setting[] {
  return configsOf(job).flatMap((config) => nixConfigLists(config.text)[list].map((word) => part(config, word)));
}

/** A word of a larger text stands on a line of its own, and is unknown only where it itself holds what is. */
function part(whole: Setting, word: string): Setting {
  const unknown = /\$/.test(word) ? whole.unknown : [];
  const at = whole.text.split("\n").findIndex((line) => line.includes(word));
  const line = whole.textLine === undefined || at === -1 ? whole.place.line : whole.textLine + at;
  return { ...whole, text: word, unknown, place: { file: whole.place.file, line } };
}

function flagged(job: Job, flags: readonly string[]): readonly Setting[] {
  return job.calls
    .filter(({ tool }) => tool === "nix")
    .flatMap(({ args, place }) =>
      args.flatMap((arg, at) => {
        const value = args[at + 1];
        if (!flags.includes(arg.text.replace(/^--/, "")) || value === undefined) return [];
        return value.text.split(/\s+/).map((word) => ({ ...value, name: arg.text, text: word, place }));
      }),
    );
}

function substitutersOf(job: Job): readonly Setting[] {
  return [...listed(job, "substituters"), ...flagged(job, ["substituters", "extra-substituters"])];
}

/** Other caches that a repository also has, cache.nixos.org say, are no part of the parity. */
function isShared({ text, name }: Setting, { profile, here }: World): boolean {
  const url = text.replace(/\/+$/, "");
  if (name === "ATTIC_SERVER") return true;
  return knownUrls(profile).includes(url) || url === here.status.nix.endpoint || url.endsWith(`/${profile.nix.cache}`);
}

function knownUrls(profile: World["profile"]): readonly string[] {
  return [...profile.cluster.nix, ...(profile.nix.substituter === undefined ? [] : [profile.nix.substituter])];
}

function comparedName(world: World, same: readonly Setting[]): readonly ParityLine[] {
  const [setting] = same;
  if (setting === undefined) return [];
  const own = world.here.status.nix.endpoint?.split("/").at(-1) ?? world.profile.nix.cache;
  const what = "the Nix cache's name";
  const detail = { here: own, ci: setting.text, places: placesOf(same) };
  if (setting.unknown.length > 0) return [cacheLine("unknown", what, { ...detail, why: unknownWords(setting) })];
  if (setting.text === own) return [cacheLine("same", what, detail)];
  const why = "what CI pushes into one cache of a server, another does not have";
  return [cacheLine("drift", what, { ...detail, why, next: `say ${own}, the cache of profile ${world.profile.name}` })];
}

function comparedUrl(world: World, same: readonly Setting[]): readonly ParityLine[] {
  const [setting] = same;
  const { nix } = world.here.status;
  const { profile } = world;
  // Another rule speaks of places that no longer exist.
  if (setting === undefined || isStale(setting.text, world.profile)) return [];
  const what = "the Nix cache";
  const here = nix.endpoint === null ? "not attached" : shownHere(world, nix.endpoint, "nix");
  const detail = { here, ci: shownText(setting.text), places: placesOf(same) };
  if (setting.unknown.length > 0) return [cacheLine("unknown", what, { ...detail, why: unknownWords(setting) })];
  const url = setting.text.replace(/\/+$/, "");
  if (url === nix.endpoint) return [cacheLine("same", what, detail)];
  if (knownUrls(profile).length === 0) {
    const next = 'name it in the profile: [cluster] nix = ["…"]';
    return [cacheLine("unknown", what, { ...detail, why: `profile ${profile.name} names no Nix cache to compare it with`, next })];
  }
  if (!knownUrls(profile).includes(url)) {
    const why = `it is none of the caches of profile ${profile.name}`;
    return [cacheLine("drift", what, { ...detail, why, next: `say ${knownUrls(profile)[0]}, or leave it to the runner` })];
  }
  if (nix.state === "unattached")
    return [cacheLine("drift", what, { ...detail, why: nix.reason ?? "no Nix cache is attached here", next: nix.next ?? "flywheel up" })];
  if (nix.endpoint?.split("/").at(-1) !== url.split("/").at(-1)) {
    return [
      cacheLine("drift", what, { ...detail, why: "they are two caches, by their names", next: `make them one in profile ${profile.name}` }),
    ];
  }
  const why = "the route alone: name and key make it one cache";
  return [cacheLine("differs-on-purpose", what, { ...detail, why })];
}

export const nixKey: Rule = {
  id: "nix-key",
  look(world) {
    const { profile, here, repository } = world;
    const own = here.status.nix.publicKey ?? profile.nix.publicKey;
    const jobs = jobsOnce(repository);
    const keys = distinctSettings([
      ...jobs.flatMap((job) => valuesOf(job, "ATTIC_PUBLIC_KEY")),
      ...jobs.flatMap((job) => listed(job, "trustedPublicKeys")),
      ...jobs.flatMap((job) => flagged(job, ["trusted-public-keys", "extra-trusted-public-keys"])),
      ...(repository.flake?.keys ?? []),
    ]).filter(({ name, text, unknown }) => name === "ATTIC_PUBLIC_KEY" || unknown.length > 0 || isOfCache(text, own, profile.nix.cache));
    return [...[...byText(keys).values()].flatMap((same) => comparedKey(world, own, same)), ...withoutKey(world, own)];
  },
};

/** A key is told apart by its name; those of other caches stand beside it. */
function isOfCache(key: string, own: string | undefined, cache: string): boolean {
  return key.split(":")[0] === (own?.split(":")[0] ?? cache);
}

function comparedKey({ profile }: World, own: string | undefined, same: readonly Setting[]): readonly ParityLine[] {
  const [setting] = same;
  if (setting === undefined) return [];
  const what = "the Nix cache's public key";
  const detail = { here: own ?? "none", ci: setting.text, places: placesOf(same) };
  if (setting.unknown.length > 0) return [keyLine("unknown", what, { ...detail, why: unknownWords(setting) })];
  if (own === undefined) {
    const why = `neither the attachment nor profile ${profile.name} has a key to compare it with`;
    return [keyLine("unknown", what, { ...detail, why, next: "flywheel trust key" })];
  }
  if (setting.text === own) return [keyLine("same", what, detail)];
  const why = "what one key signed, whoever trusts only the other refuses";
  return [keyLine("drift", what, { ...detail, why, next: `say ${own}` })];
}

/** A substituter without its key: Nix asks it, and takes nothing from it. */
function withoutKey(world: World, own: string | undefined): readonly ParityLine[] {
  const lists = jobsOnce(world.repository).flatMap((job) =>
    configsOf(job).filter((config) => {
      const { substituters, trustedPublicKeys } = nixConfigLists(config.text);
      const known = config.unknown.length === 0 && valuesOf(job, "ATTIC_PUBLIC_KEY").length === 0;
      return (
        known &&
        substituters.some((url) => isShared(part(config, url), world)) &&
        !trustedPublicKeys.some((key) => isOfCache(key, own, world.profile.nix.cache))
      );
    }),
  );
  const { flake } = world.repository;
  const ofFlake = (flake?.substituters ?? []).filter(
    (setting) => isShared(setting, world) && !(flake?.keys ?? []).some(({ text }) => isOfCache(text, own, world.profile.nix.cache)),
  );
  const places = placesOf([...lists, ...ofFlake]);
  if (places.length === 0) return [];
  const next = `add extra-trusted-public-keys = ${own ?? "…"}`;
  return [
    keyLine("drift", "the Nix cache is named without its key", {
      places,
      why: "Nix takes nothing from a cache whose key it does not know",
      next,
    }),
  ];
}
