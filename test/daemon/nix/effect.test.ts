/** What the product says of Nix's trust is what a real nix-daemon does, to a user who really is unprivileged. */
import { execFileSync } from "node:child_process";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { isListed, isTrustedUser, nixSettings } from "../../../contract/nix/trust.ts";
import { makeNixCache, type NixCache } from "./cache.ts";
import { cannotRun, makeNixMachine, type NixMachine } from "./machine.ts";

let machine: NixMachine;
let cache: NixCache;
let built = 0;

describe.skipIf(cannotRun)("Nix's daemon, and an unprivileged user", () => {
  beforeAll(async () => {
    machine = await makeNixMachine();
    cache = await makeNixCache(machine.storeDir);
  });
  afterAll(async () => {
    await cache?.[Symbol.asyncDispose]();
    await machine?.[Symbol.asyncDispose]();
  });

  const key = (): string => `trusted-public-keys = ${cache.publicKey}`;
  const listed = (url: string): string => `trusted-substituters = ${url}`;

  interface Case {
    readonly name: string;
    readonly conf: () => readonly string[];
    /** What is asked for: the endpoint, and its other names. */
    readonly url?: () => string;
    readonly aliases?: () => readonly string[];
    readonly says: { readonly ok: true; readonly trustedUser: boolean } | { readonly ok: false; readonly reason: RegExp };
  }
  const trusted = { ok: true, trustedUser: true } as const;
  const accepted = { ok: true, trustedUser: false } as const;
  const notListed = { ok: false, reason: /^nobody is no trusted user of the Nix daemon, which lists no http:/ } as const;
  const cases: readonly Case[] = [
    { name: "nothing is listed", conf: () => [], says: notListed },
    { name: "the user is trusted", conf: () => ["trusted-users = root nobody"], says: trusted },
    { name: "everybody is trusted", conf: () => ["trusted-users = *"], says: trusted },
    { name: "the user's group is trusted", conf: () => ["trusted-users = root @nogroup"], says: trusted },
    { name: "another group is trusted", conf: () => ["trusted-users = root @daemon"], says: notListed },
    { name: "the cache and its key are listed", conf: () => [listed(cache.url), key()], says: accepted },
    { name: "it is listed with a last slash", conf: () => [listed(`${cache.url}/`), key()], says: accepted },
    { name: "it is listed with a parameter", conf: () => [listed(`${cache.url}?priority=10`), key()], says: notListed },
    { name: "it is listed by another name", conf: () => [listed(cache.byName), key()], says: notListed },
    {
      name: "it is listed by a name that it is known by",
      conf: () => [listed(cache.byName), key()],
      aliases: () => [cache.byName],
      says: accepted,
    },
    { name: "it is the daemon's own substituter", conf: () => [`substituters = ${cache.url}`, key()], says: accepted },
    {
      name: "it is listed without its key",
      conf: () => [listed(cache.url)],
      says: { ok: false, reason: /^nobody is no trusted user of the Nix daemon, which lacks the key main:/ },
    },
    { name: "signatures are not required", conf: () => [listed(cache.url), "require-sigs = false"], says: accepted },
  ];

  test.for(cases)("$name", { timeout: 30_000 }, async ({ conf, aliases, says }) => {
    machine.configure(conf());
    await machine.restart();
    const verdict = await machine.verdict({ url: cache.url, aliases: aliases?.() ?? [], key: cache.publicKey });
    expect(verdict).toMatchObject(
      says.ok
        ? { ok: true, honoured: { trustedUser: says.trustedUser, publicKey: cache.publicKey } }
        : { ok: false, ignored: { reason: expect.stringMatching(says.reason) } },
    );
    // By effect: a path that this store has never had, as the guard would have it built.
    const url = verdict.ok ? verdict.honoured.endpoint.url : cache.url;
    const run = await buildNext(url);
    expect(run.substituted, run.stderr).toBe(says.ok);
    expect(/ignoring untrusted substituter/.test(run.stderr)).toBe(!says.ok && says.reason.source.includes("lists no"));
    // The rule alone, without the daemon's answer, says the same.
    const settings = nixSettings(["substituters =", ...conf()].join("\n"));
    const groups = execFileSync("/usr/bin/id", ["-Gn", "nobody"], { encoding: "utf8" }).trim().split(" ");
    expect(isTrustedUser(settings, { user: "nobody", groups })).toBe(says.ok && says.trustedUser);
    expect(isListed(settings, url)).toBe(run.accepted && !(says.ok && says.trustedUser));
  });

  /** Builds the next path with what an attached command gets. */
  async function buildNext(url: string): Promise<{ readonly substituted: boolean; readonly accepted: boolean; readonly stderr: string }> {
    const name = `p${built}`;
    built = (built + 1) % 6;
    const settings = ["--extra-substituters", url, "--extra-trusted-public-keys", cache.publicKey];
    const run = await machine.nix(["build", "--no-link", "-f", cache.expression, name, ...settings, "--log-format", "internal-json", "-v"]);
    expect(run.exitCode, run.stderr).toBe(0);
    const [, path = ""] = /"(\/[^"]*-p\d)"/.exec((await machine.nix(["path-info", "--json", "-f", cache.expression, name])).stdout) ?? [];
    const info = await machine.nix(["path-info", "--json", path]);
    const signed = info.stdout.includes('"main:');
    // Activity 108 is a substitution (facts of Nix's logging.hh), and it names the cache.
    const activity = run.stderr.split("\n").some((line) => line.includes('"type":108') && line.includes(url));
    expect(activity, run.stderr).toBe(signed);
    expect((await machine.nix(["store", "delete", path])).exitCode).toBe(0);
    return { substituted: signed, accepted: !/ignoring untrusted substituter/.test(run.stderr), stderr: run.stderr };
  }
});
