import { describe, expect, it } from "vitest";
import { gloriousflywheel, type Profile } from "../../../contract/profile.ts";
import { noTrust, type TrustStore } from "../../../contract/trust.ts";
import { covers, dialable, nodeFault, routerOf, tailnetTrust, whoisFault } from "../../../daemon/discovery/trust.ts";
import { type KnownTailnet, parseTailnet, type TailnetNode } from "../../../daemon/tailnet/tailnet.ts";
import { type TailnetInWords, tailnetState } from "../../fixtures/localapi/state.ts";

const profile = (tailnet: Partial<Profile["tailnet"]>, name = "default"): Profile => ({
  ...gloriousflywheel,
  name,
  tailnet: { name: undefined, magicDnsSuffix: undefined, ...tailnet },
});

const known = (words: TailnetInWords = {}): KnownTailnet =>
  parseTailnet(tailnetState(words).status, undefined, { via: "/s", systemSocket: true });

const here = known({ name: "acme.example", suffix: "tail1.ts.net" });
const said = (entry: Partial<TrustStore["tailnets"][number]> = {}): TrustStore => ({
  ...noTrust,
  tailnets: [{ profile: "default", name: "acme.example", magicDnsSuffix: "tail1.ts.net", at: "2026-11-20T00:00:00Z", ...entry }],
});

describe("the tailnet", () => {
  it.each([
    ["name and suffix", { name: "acme.example", magicDnsSuffix: "tail1.ts.net" }, true],
    ["name alone", { name: "acme.example" }, true],
    ["suffix alone", { magicDnsSuffix: "tail1.ts.net" }, true],
    ["another suffix under the same name", { name: "acme.example", magicDnsSuffix: "tail2.ts.net" }, false],
    ["another name over the same suffix", { name: "evil.example", magicDnsSuffix: "tail1.ts.net" }, false],
    ["another suffix", { magicDnsSuffix: "tail2.ts.net" }, false],
    ["nothing", {}, false],
  ])("is trusted by a profile that names %s: %#", (_, tailnet, trusted) => {
    expect(tailnetTrust(profile(tailnet), here, noTrust).trusted).toBe(trusted);
  });

  it("is trusted by the user's word, for exactly this profile, name and suffix", () => {
    expect(tailnetTrust(profile({}), here, said()).trusted).toBe(true);
    expect(tailnetTrust(profile({ magicDnsSuffix: "tail2.ts.net" }), here, said()).trusted).toBe(true);
    expect(tailnetTrust(profile({}), here, said({ profile: "other" })).trusted).toBe(false);
    expect(tailnetTrust(profile({}), here, said({ name: "acme" })).trusted).toBe(false);
    expect(tailnetTrust(profile({}), here, said({ magicDnsSuffix: "tail2.ts.net" })).trusted).toBe(false);
  });

  it("that is not trusted is named, with what to type", () => {
    expect(tailnetTrust(profile({}), here, noTrust)).toEqual({
      trusted: false,
      reason: "this machine is on tailnet acme.example (tail1.ts.net), which nobody has trusted for profile default",
      next: "flywheel trust tailnet   (only if it is your organisation's)",
    });
    const other = tailnetTrust(profile({ magicDnsSuffix: "tail2.ts.net" }, "ml"), here, noTrust);
    expect(other).toMatchObject({
      reason: expect.stringContaining("profile ml trusts tail2.ts.net"),
      next: expect.stringContaining("--profile ml"),
    });
  });

  it("of nobody is never trusted, though a profile or an entry be as empty", () => {
    const nowhere = known({ name: "", suffix: "", backendState: "NeedsLogin" });
    expect(tailnetTrust(profile({}), nowhere, said({ name: "", magicDnsSuffix: "" }))).toMatchObject({
      trusted: false,
      next: "tailscale up",
    });
    expect(tailnetTrust(profile({ name: "" }), nowhere, noTrust).trusted).toBe(false);
  });
});

describe("a node", () => {
  const node = (words: { shared?: boolean; expired?: boolean; name?: string }): TailnetNode => {
    const [only] = known({ nodes: [{ name: "cache", addresses: ["100.64.0.1"], ...words }] }).nodes;
    if (only === undefined) throw new Error("no node");
    return only;
  };

  it("of this tailnet with a living key has no fault; every other has", () => {
    expect(nodeFault(node({}), here)).toBeUndefined();
    expect(nodeFault(node({ shared: true }), here)).toContain("shared in");
    expect(nodeFault(node({ name: "cache.tail9.ts.net" }), here)).toContain("shared in");
    expect(nodeFault(node({ expired: true }), here)).toContain("expired");
  });

  it("is confirmed by whois through its id, never its name", () => {
    const cache = { id: "nA", name: "cache.tail1.ts.net" };
    expect(whoisFault("100.64.0.1:9092", cache, { nodeId: "nA", name: "renamed.tail1.ts.net" })).toBeUndefined();
    expect(whoisFault("100.64.0.1:9092", cache, { nodeId: "nB", name: cache.name })).toContain("belongs to");
    expect(whoisFault("100.64.0.1:9092", cache, undefined)).toContain("does not say");
  });
});

describe("addresses", () => {
  it("come IPv4 first, and loopback only under local proof", () => {
    const all = ["fd7a::1", "127.0.0.2", "::1", "100.64.0.1"];
    expect(dialable(all, false)).toEqual(["100.64.0.1", "fd7a::1"]);
    expect(dialable(all, true)).toEqual(["127.0.0.2", "100.64.0.1", "fd7a::1", "::1"]);
  });

  it.each([
    ["10.42.0.0/16", "10.42.3.4", true],
    ["10.42.0.0/16", "10.43.3.4", false],
    ["10.42.3.4/32", "10.42.3.4", true],
    ["fd00:42::/32", "fd00:42::1", true],
    ["fd00:42::/32", "fd00:43::1", false],
    ["10.42.0.0/16", "fd00:42::1", false],
    ["0.0.0.0/0", "10.42.3.4", false],
    ["::/0", "fd00:42::1", false],
    ["10.42.0.0/33", "10.42.3.4", false],
    ["10.42.0.0", "10.42.0.0", false],
    ["10.42/16", "10.42.0.1", false],
    ["nonsense", "10.42.3.4", false],
    ["10.42.0.0/16", "nonsense", false],
  ])("%s over %s: %s", (cidr, address, covered) => {
    expect(covers(cidr, address)).toBe(covered);
  });

  it("have the router whose route covers them", () => {
    const { nodes } = known({
      nodes: [
        { name: "exit", addresses: ["100.64.0.1"], routes: ["0.0.0.0/0"] },
        { name: "router", addresses: ["100.64.0.2"], routes: ["10.0.0.0/24", "10.42.0.0/16"] },
      ],
    });
    expect(routerOf("10.42.0.9", nodes)).toMatchObject({ node: { name: "router.tail0ffee.ts.net" }, route: "10.42.0.0/16" });
    expect(routerOf("192.168.1.1", nodes)).toBeUndefined();
  });
});
