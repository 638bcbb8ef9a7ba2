/** Credentials: whose they are, how they are written, and how they are carried between our own processes. */
import { inspect } from "node:util";
import * as v from "valibot";
import { describe, expect, test } from "vitest";
import {
  authorizationOf,
  type Credential,
  type CredentialIndex,
  credentialsSchema,
  entryFor,
  expiryOf,
  hasExpired,
  plaintextFault,
} from "../../contract/credential.ts";
import { readCredential, writeCredential } from "../../contract/credential-wire.ts";
import { type Endpoint, parseEndpoint, type Tool } from "../../contract/endpoint.ts";
import { Secret } from "../../contract/secret.ts";

function endpoint(url: string, kind: Tool = "bazel"): Endpoint {
  const parsed = parseEndpoint(url, kind);
  if (!parsed.ok) throw new TypeError(url);
  return parsed.endpoint;
}

const bearer: Credential = { scheme: "bearer", token: new Secret("a.token-of~hers+/==") };
const basic: Credential = { scheme: "basic", user: "ann", password: new Secret('p"w:#\\') };
const mtls: Credential = { scheme: "mtls", certificate: "/home/ann/cert.pem", key: "/home/ann/key.pem" };

describe("the entry of an endpoint", () => {
  const entry = (url: string, profile = "default", kind: Tool = "bazel") => ({
    ...{ profile, kind, endpoint: url, how: { scheme: "bearer", store: "file" } as const, generation: "0".repeat(32) },
    ...{ at: "2026-11-20T08:00:00Z", expires: null, legacyHeader: false },
  });
  const index: CredentialIndex = {
    ...{ v: 1, store: null },
    entries: [
      entry("grpc://cache.tail0ffee.ts.net:9092"),
      entry("grpcs://cache.example", "lab"),
      entry("https://cache.example", "default", "nix"),
    ],
  };

  test("is found by the endpoint or an alias, spelled with its port or without, in its own profile and kind alone", () => {
    const address = endpoint("grpc://100.64.0.5:9092");
    expect(entryFor(index, "default", [address])).toBeUndefined();
    expect(entryFor(index, "default", [address, endpoint("grpc://cache.tail0ffee.ts.net:9092")])).toBe(index.entries[0]);
    expect(entryFor(index, "lab", [address, endpoint("grpc://cache.tail0ffee.ts.net:9092")])).toBeUndefined();
    expect(entryFor(index, "lab", [endpoint("grpcs://cache.example:443")])).toBe(index.entries[1]);
    expect(entryFor(index, "lab", [endpoint("grpc://cache.example:443")])).toBeUndefined();
    expect(entryFor(index, "default", [endpoint("https://cache.example")])).toBeUndefined();
    expect(entryFor(index, "default", [endpoint("https://cache.example", "nix")])).toBe(index.entries[2]);
  });

  test("is the endpoint's own where there is one, whatever an alias has, and wherever it stands in the index", () => {
    const [name, address] = [endpoint("grpc://cache.tail0ffee.ts.net:9092"), endpoint("grpc://100.64.0.5:9092")];
    const both: CredentialIndex = { ...index, entries: [entry(name.url), entry(address.url)] };
    expect(entryFor(both, "default", [address, name])).toBe(both.entries[1]);
    expect(entryFor(both, "default", [name, address])).toBe(both.entries[0]);
  });
});

test("an expiry that is no time is no index: compared as a date it would never come", () => {
  const entry = {
    ...{ profile: "default", kind: "bazel", endpoint: "https://cache.example", how: { scheme: "bearer", store: "file" } },
    ...{ generation: "0".repeat(32), at: "2026-11-20T08:00:00Z", legacyHeader: false },
  };
  const judged = (expires: unknown): boolean =>
    v.safeParse(credentialsSchema, { v: 1, store: null, entries: [{ ...entry, expires }] }).success;
  for (const expires of [null, "2027-01-31T00:00:00.000Z", "2027-01-31"]) expect(judged(expires), String(expires)).toBe(true);
  for (const expires of ["", "soon", "2027-13-45T00:00:00Z", 1_800_000_000]) expect(judged(expires), String(expires)).toBe(false);
});

test("the header is RFC 6750's and 7617's; Nix sends a token as a password, and a certificate has none", () => {
  const header = (credential: Credential, tool: Tool): string | undefined => authorizationOf(credential, tool)?.reveal();
  const base64 = (text: string): string => Buffer.from(text).toString("base64");
  expect(header(bearer, "bazel")).toBe("Bearer a.token-of~hers+/==");
  expect(header(bearer, "nix")).toBe(`Basic ${base64(":a.token-of~hers+/==")}`);
  expect(header(basic, "bazel")).toBe(`Basic ${base64('ann:p"w:#\\')}`);
  expect(header(basic, "nix")).toBe(header(basic, "bazel"));
  expect(header(mtls, "bazel")).toBeUndefined();
});

test("a credential crosses a pipe whole, and shows itself to nobody else", () => {
  for (const credential of [bearer, basic, mtls]) {
    const written = writeCredential(credential);
    expect(writeCredential(readCredential(written.reveal())).reveal()).toBe(written.reveal());
    const shown = `${inspect({ credential, written })}${JSON.stringify({ credential, written })}${written}`;
    expect(shown).not.toMatch(/a\.token|p\\*"w/);
  }
  for (const text of ["", "{", "{}", '{"scheme":"bearer","token":"two words"}', '{"scheme":"mtls","certificate":"relative","key":"/k"}']) {
    expect(() => readCredential(text)).toThrow(/^the credential on standard input is malformed$/);
  }
});

test("a JSON Web Token tells its end; any other token does not", () => {
  const jwt = (claims: object): Secret => new Secret(`e30.${Buffer.from(JSON.stringify(claims)).toString("base64url")}.c2ln`);
  expect(expiryOf(jwt({ exp: 1_800_000_000 }))?.toISOString()).toBe("2027-01-15T08:00:00.000Z");
  for (const token of [jwt({}), jwt({ exp: "soon" }), jwt({ exp: 1e300 }), new Secret("opaque"), new Secret("a.b.c")]) {
    expect(expiryOf(token)).toBeUndefined();
  }
  const now = new Date("2026-11-20T08:00:00Z");
  expect(hasExpired({ expires: "2026-11-20T08:00:00Z" }, now)).toBe(true);
  expect(hasExpired({ expires: "2026-11-20T08:00:01Z" }, now)).toBe(false);
  expect(hasExpired({ expires: null }, now)).toBe(false);
});

test("plain text is for a tailnet and this machine", () => {
  for (const url of [
    "grpcs://c.example",
    "grpc://100.64.0.5:9092",
    "grpc://c.tail0ffee.ts.net:9092",
    "http://[fd7a:115c:a1e0::5]:80",
    "grpc://127.0.0.1:1",
  ]) {
    expect(plaintextFault(endpoint(url)), url).toBeUndefined();
  }
  for (const url of ["grpc://c.example:9092", "http://100.128.0.5", "http://10.0.0.5", "grpc://evilts.net:1", "http://[fd7b::5]"]) {
    expect(plaintextFault(endpoint(url)), url).toContain("neither TLS nor on a tailnet");
  }
});
