import { describe, expect, test } from "vitest";
import type { Credential } from "../../../contract/credential.ts";
import { FlywheelError } from "../../../contract/errors.ts";
import { attachingSettings, configOptions, nixDetachment } from "../../../contract/nix/injection.ts";
import { netrcText } from "../../../contract/nix/netrc.ts";
import { Secret } from "../../../contract/secret.ts";
import { endpointAt as endpoint } from "../../fixtures/endpoint.ts";

const cache = endpoint("https://cache.example/main", "nix");
const basic = (user: string, password: string): Credential => ({ scheme: "basic", user, password: new Secret(password) });

describe("the netrc", () => {
  test.each([
    ["a token, which has no user", { scheme: "bearer", token: new Secret("t0ken") }, 'machine cache.example\nlogin ""\npassword t0ken\n'],
    ["a user and a password", basic("ada", "pass#word"), "machine cache.example\nlogin ada\npassword pass#word\n"],
  ] as const)("%s", (_what, credential, text) => {
    expect(netrcText(cache, credential, "")).toBe(text);
  });

  test("what Nix would have read without us stays, behind ours", () => {
    expect(netrcText(cache, basic("ada", "x"), "machine other.example password y\n")).toBe(
      "machine cache.example\nlogin ada\npassword x\n\nmachine other.example password y\n",
    );
  });

  test.each([
    basic("ada", '"quoted'),
    basic("ada", "#comment"),
    basic("#comment", "x"),
    { scheme: "bearer", token: new Secret("quoted".repeat(700)) },
    { scheme: "mtls", certificate: "/c.pem", key: "/k.pem" },
  ] as const)("what it cannot say is told, without the secret (%#)", (credential) => {
    const write = (): string => netrcText(cache, credential, "");
    expect(write).toThrow(FlywheelError);
    expect(write).toThrow(/^(?!.*(?:quoted|comment)).*(?:takes no)/);
  });
});

describe("a cache that asks for a credential", () => {
  const publicKey = `main:${"A".repeat(43)}=`;
  const attached = { endpoint: cache, publicKey, trustedUser: true, netrc: "/run/user/1000/gf/netrc" } as const;

  test("is attached with its netrc", () => {
    expect(attachingSettings(attached, "")).toContainEqual({ name: "netrc-file", value: "/run/user/1000/gf/netrc" });
    expect(attachingSettings({ ...attached, netrc: undefined }, "").map(({ name }) => name)).not.toContain("netrc-file");
  });

  test.each([
    ["by an option", [{ name: "netrc-file", value: "/dev/null" }]],
    ["by NIX_CONFIG", configOptions("cores = 1\nnetrc-file = /dev/null")],
  ])("is left by another one %s", (_how, options) => {
    expect(nixDetachment(options, attached)).toMatch(/netrc-file leaves out the credential/);
    expect(nixDetachment(options, { ...attached, netrc: undefined })).toBeUndefined();
  });
});
