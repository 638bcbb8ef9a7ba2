/** The verdict on Nix, refusal by refusal, and what a signature signs. */
import { expect, test } from "vitest";
import { fingerprint, keyBytes, signaturesBy } from "../../../contract/proof/fingerprint.ts";
import { cheapest, parseNarinfo } from "../../../contract/proof/narinfo.ts";
import { judgeNix, type NixAttachmentSeen, type NixRule, type NixSeen, type SubstitutionSeen } from "../../../contract/proof/nix.ts";
import { endpointAt } from "../../fixtures/endpoint.ts";

const cache = endpointAt("https://nix.example.org/main", "nix");
const publicKey = `main:${"A".repeat(43)}=`;
const attached: NixAttachmentSeen = { state: "attached", endpoint: cache, publicKey };
const lost: NixAttachmentSeen = { state: "unattached", reason: "it would ignore the cache", next: "ask" };
const counts = { hits: 2, other: 0, misses: 0, local: 0, internal: 0 };
const substitution: SubstitutionSeen = { exitCode: 0, interrupted: false, wallMs: 5, said: "", signature: "valid", counts };
const path = { state: "chosen", path: `/nix/store/${"a".repeat(32)}-x`, by: "named" } as const;
const good: NixSeen = { before: attached, after: attached, path, substitution };

test("all as it should be is proved", () => {
  expect(judgeNix(good)).toEqual([]);
});

const refusals: readonly (readonly [what: string, seen: NixSeen, rules: readonly NixRule[]])[] = [
  ["unattached, or ignored by this machine's Nix", { ...good, before: lost }, ["nix-unattached"]],
  ["no path", { ...good, path: undefined }, ["no-path"]],
  ["none to be had", { ...good, path: { state: "none", reason: "none", next: "name one" } }, ["no-path"]],
  ["nothing tried", { ...good, substitution: undefined }, ["not-substituted"]],
  ["interrupted", { ...good, substitution: { ...substitution, interrupted: true } }, ["interrupted"]],
  ["lost on the way", { ...good, after: lost }, ["nix-attachment-lost"]],
  ["not looked at again", { ...good, after: undefined }, ["nix-attachment-lost"]],
  ["swapped", { ...good, after: { ...attached, endpoint: endpointAt("https://other.example.org/main", "nix") } }, ["nix-swapped"]],
  ["another key", { ...good, after: { ...attached, publicKey: `main:${"B".repeat(43)}=` } }, ["nix-swapped"]],
  [
    "another cache gave it",
    { ...good, substitution: { ...substitution, counts: { ...counts, hits: 0, other: 2 } } },
    ["other-substituter", "not-substituted"],
  ],
  [
    "another cache gave a part of it",
    { ...good, substitution: { ...substitution, counts: { ...counts, other: 1 } } },
    ["other-substituter"],
  ],
  ["built", { ...good, substitution: { ...substitution, counts: { ...counts, misses: 1, local: 1 } } }, ["built-here"]],
  ["nothing fetched", { ...good, substitution: { ...substitution, counts: { ...counts, hits: 0 } } }, ["not-substituted"]],
  ["Nix failed", { ...good, substitution: { ...substitution, exitCode: 1, said: "HTTP error 401" } }, ["not-substituted"]],
  ["no signature", { ...good, substitution: { ...substitution, signature: "missing" } }, ["not-signed"]],
  ["another's signature", { ...good, substitution: { ...substitution, signature: "invalid" } }, ["not-signed"]],
  ["a signature that could not be read", { ...good, substitution: { ...substitution, signature: "unchecked" } }, ["not-signed"]],
];

test.for(refusals)("not proved: %s", ([, seen, rules]) => {
  expect(judgeNix(seen).map(({ rule }) => rule)).toEqual(rules);
});

test("the fingerprint is Nix's: version, path, hash, size and references in order", () => {
  const facts = { path: "/nix/store/a-x", narHash: "sha256:0abc", narSize: 120, references: ["/nix/store/b-z", "/nix/store/a-x"] };
  expect(fingerprint(facts)).toBe("1;/nix/store/a-x;sha256:0abc;120;/nix/store/a-x,/nix/store/b-z");
  expect(signaturesBy(publicKey, ["main:one", "other:two", "main2:three"])).toEqual(["one"]);
  expect(keyBytes(publicKey)).toBe(`${"A".repeat(43)}=`);
});

test("of narinfos the cheapest is chosen; what is none is none", () => {
  const narinfo = (name: string, size: number, references: string) =>
    `StorePath: /nix/store/${"a".repeat(32)}-${name}\nURL: nar/x.nar\nNarSize: ${size}\nReferences: ${references}\nSig: main:abc\nSig: other:def\n`;
  const own = parseNarinfo(narinfo("own", 500, `${"a".repeat(32)}-own`));
  expect(own).toEqual({
    storePath: `/nix/store/${"a".repeat(32)}-own`,
    narSize: 500,
    references: [],
    signatures: ["main:abc", "other:def"],
  });
  const small = parseNarinfo(narinfo("small", 10, "b-y"));
  const [first, second] = [own, small].filter((each) => each !== undefined);
  expect(cheapest([second, first].filter((each) => each !== undefined))).toBe(first);
  expect(cheapest([])).toBeUndefined();
  for (const text of ["", "<html>", "StorePath: /nix/store/x\nNarSize: 1", narinfo("x", -1, ""), narinfo("a b", 1, "")])
    expect(parseNarinfo(text)).toBeUndefined();
});
