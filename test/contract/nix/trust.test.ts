/** The rule by which Nix's daemon takes a cache from a client, as a table; test/daemon/nix proves it by effect. */
import { describe, expect, test } from "vitest";
import type { Endpoint } from "../../../contract/endpoint.ts";
import { parseEndpoint } from "../../../contract/endpoint.ts";
import {
  isListed,
  isTrustedUser,
  judgeNixHonour,
  type NixMachine,
  nixAdvice,
  nixSettings,
  withheldFrom,
} from "../../../contract/nix/trust.ts";

const key = `main:${"A".repeat(43)}=`;
const url = "http://100.64.0.9/main";

function endpoint(text: string): Endpoint {
  const parsed = parseEndpoint(text, "nix");
  if (!parsed.ok) throw new TypeError(parsed.message);
  return parsed.endpoint;
}

describe("nix.conf", () => {
  test("says nothing: Nix's own defaults", () => {
    expect(nixSettings("")).toEqual({
      trustedUsers: ["root"],
      listed: ["https://cache.nixos.org/"],
      trustedPublicKeys: ["cache.nixos.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY="],
      requireSignatures: true,
    });
  });

  test.for([
    ["extra- adds to the default", "extra-trusted-users = ada @wheel", ["root", "ada", "@wheel"]],
    ["a plain one replaces", "trusted-users = ada", ["ada"]],
    ["a later plain one throws away", "extra-trusted-users = ada\ntrusted-users = root", ["root"]],
    ["a comment ends a line", "trusted-users = ada # @wheel", ["ada"]],
    ["tabs and many spaces", "\ttrusted-users  =\tada   bob ", ["ada", "bob"]],
    ["nobody", "trusted-users =", []],
    ["commented out", "# trusted-users = ada", ["root"]],
  ] as const)("trusted users: %s", ([, text, users]) => {
    expect(nixSettings(text).trustedUsers).toEqual(users);
  });

  test("the older names, and the daemon's own substituters, list caches too", () => {
    expect(nixSettings(`trusted-binary-caches = ${url}\nbinary-caches =`).listed).toEqual([url]);
    expect(nixSettings(`substituters = ${url}`).listed).toEqual([url]);
    expect(nixSettings(`extra-trusted-substituters = ${url}`).listed).toEqual([url, "https://cache.nixos.org/"]);
    expect(nixSettings(`binary-cache-public-keys = ${key}`).trustedPublicKeys).toEqual([key]);
    expect(nixSettings("require-sigs = false").requireSignatures).toBe(false);
  });
});

test.for([
  ["root", [], "root", true],
  ["ada", [], "root", false],
  ["ada", [], "root ada", true],
  ["ada", [], "*", true],
  ["ada", ["wheel"], "@wheel", true],
  ["ada", ["wheel"], "@whee", false],
  ["wheel", [], "@wheel", false],
  ["ada", ["ada"], "@ada", true],
  ["1000", [], "1000", true],
  ["ada", ["wheel"], "wheel", false],
  ["ada", [], "", false],
] as const)("%s of %j under trusted-users = %s: %s", ([user, groups, users, trusted]) => {
  expect(isTrustedUser(nixSettings(`trusted-users = ${users}`), { user, groups })).toBe(trusted);
});

test.for([
  [url, url, true],
  [url, `${url}/`, true],
  [`${url}/`, url, false],
  [url, `${url}?priority=10`, false],
  [`${url}?priority=10`, url, false],
  [url, "http://100.64.0.9:80/main", false],
  [url, "HTTP://100.64.0.9/main", false],
  [url, "http://100.64.0.9/main2", false],
  ["https://cache.nixos.org", "https://cache.nixos.org/", true],
] as const)("%s where %s is listed: %s", ([asked, list, listed]) => {
  expect(isListed(nixSettings(`trusted-substituters = ${list}\nsubstituters =`), asked)).toBe(listed);
});

describe("the verdict", () => {
  const client = { user: "ada", groups: ["users"] };
  const base: NixMachine = { access: { by: "daemon" }, client, settings: nixSettings(""), answer: undefined };
  const alias = endpoint("http://cache.example.ts.net/main");
  const judge = (machine: Partial<NixMachine>, aliases: readonly Endpoint[] = []) =>
    judgeNixHonour({ endpoint: endpoint(url), aliases, publicKey: key }, { ...base, ...machine });
  const both = nixSettings(`trusted-substituters = ${url}\ntrusted-public-keys = ${key}`);

  test("no daemon between: this user's own settings hold", () => {
    expect(judge({ access: { by: "itself" }, settings: undefined })).toMatchObject({ ok: true, honoured: { trustedUser: true } });
  });

  test("no Nix: the reason, and nothing that an administrator could add", () => {
    expect(judge({ access: { by: "nothing", reason: "there is none" } })).toEqual({
      ok: false,
      ignored: { reason: "there is none", next: expect.any(String), advice: undefined },
    });
  });

  test("what Nix answers counts for more than its file", () => {
    expect(judge({ answer: { trustedUser: true, ignored: [] } })).toMatchObject({ ok: true, honoured: { trustedUser: true } });
    const trusting = nixSettings("trusted-users = ada");
    expect(judge({ settings: trusting })).toMatchObject({ ok: true });
    expect(judge({ settings: trusting, answer: { trustedUser: false, ignored: [url] } })).toMatchObject({ ok: false });
    const unread = judge({ settings: both, answer: { trustedUser: false, ignored: [url] } });
    expect(unread).toMatchObject({ ok: false, ignored: { reason: expect.stringContaining("runs with an older one"), advice: undefined } });
    expect(!unread.ok && unread.ignored.next).toContain("restart nix-daemon");
  });

  test("listed with its key, and the key by itself", () => {
    expect(judge({ settings: both })).toEqual({
      ok: true,
      honoured: { endpoint: endpoint(url), publicKey: key, trustedUser: false },
    });
    const lacks = judge({ settings: nixSettings(`trusted-substituters = ${url}`) });
    expect(lacks).toMatchObject({
      ok: false,
      ignored: { reason: expect.stringContaining(`lacks the key ${key}`), advice: nixAdvice(url, key) },
    });
  });

  test("under the name that an administrator listed, where it has several", () => {
    const byName = nixSettings(`trusted-substituters = ${alias.url}\ntrusted-public-keys = ${key}`);
    expect(judge({ settings: byName })).toMatchObject({ ok: false });
    expect(judge({ settings: byName }, [alias])).toMatchObject({ ok: true, honoured: { endpoint: alias } });
    expect(judge({ settings: byName, answer: { trustedUser: false, ignored: [url] } }, [alias])).toMatchObject({
      honoured: { endpoint: alias },
    });
  });

  test("a configuration that cannot be read proves nothing", () => {
    expect(judge({ settings: undefined })).toMatchObject({ ok: false, ignored: { reason: expect.stringContaining("cannot be read") } });
    const accepted = { trustedUser: false, ignored: [] } as const;
    expect(judge({ settings: undefined, answer: accepted })).toMatchObject({ ok: false });
  });
});

test("the advice adds to what is there, in three forms, and never makes anybody root", () => {
  const { nixConf, nixos, nixDarwin } = nixAdvice(url, key);
  expect(nixConf.split("\n").slice(0, 2)).toEqual([`extra-trusted-substituters = ${url}`, `extra-trusted-public-keys = ${key}`]);
  for (const text of [nixos, nixDarwin]) {
    expect(text).toContain(`nix.settings.trusted-substituters = [ "${url}" ];`);
    expect(text).toContain(`nix.settings.trusted-public-keys = [ "${key}" ];`);
  }
  expect([nixConf, nixos, nixDarwin].join()).not.toContain("trusted-users");
  // As nix.conf it does what it says.
  const client = { user: "ada", groups: [] };
  const machine: NixMachine = { access: { by: "daemon" }, client, settings: nixSettings(nixConf), answer: undefined };
  expect(judgeNixHonour({ endpoint: endpoint(url), aliases: [], publicKey: key }, machine).ok).toBe(true);
});

describe("a credential that the cache asks for", () => {
  const ada = { user: "ada" };
  const readable = { state: "read", text: "" } as const;
  const unreadable = { state: "unreadable", file: "/etc/nix/netrc" } as const;
  const trusted = { trustedUser: true };

  test.each([
    ["a trusted user's", trusted, "user", readable],
    ["an administrator's, for anybody", { trustedUser: false }, "system", readable],
    ["an administrator's, whose file is theirs alone", trusted, "system", unreadable],
  ] as const)("reaches Nix: %s", (_whose, terms, keeper, own) => {
    expect(withheldFrom(terms, ada, { keeper, own })).toBeUndefined();
  });

  test.each([
    [{ trustedUser: false }, readable, "ada is no trusted user of the Nix daemon, which takes no credential of theirs for the cache"],
    [trusted, unreadable, "Nix takes its credentials from /etc/nix/netrc, which cannot be read here and would be left out"],
  ] as const)("is withheld, and what would mend it is said (%#)", (terms, own, reason) => {
    expect(withheldFrom(terms, ada, { keeper: "user", own })).toEqual({ reason, next: expect.stringContaining('netrc = "system"') });
  });
});
