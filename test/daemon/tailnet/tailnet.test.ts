import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Services, Status } from "../../../daemon/tailnet/localapi/index.ts";
import { parsePorts, parseTailnet } from "../../../daemon/tailnet/tailnet.ts";
import { tailnetState } from "../../fixtures/localapi/state.ts";

const where = { via: "/run/tailscaled.sock", systemSocket: true };

describe("parsing a tailnet", () => {
  it("knows whose a node is", () => {
    const { status } = tailnetState({
      nodes: [
        { name: "own", addresses: ["100.64.0.1"] },
        { name: "stranger.tail1.ts.net", addresses: ["100.64.0.2"] },
        { name: "xtail0ffee.ts.net", addresses: ["100.64.0.3"] },
        { name: "sharee", addresses: ["100.64.0.4"], shared: true },
        { name: "", addresses: ["100.64.0.5"], id: "nNameless" },
      ],
    });
    const own = parseTailnet(status, undefined, where).nodes.filter((node) => !node.sharedIn);
    expect(own.map((node) => node.name)).toEqual(["own.tail0ffee.ts.net"]);
    const without = { ...status, CurrentTailnet: { Name: "x" } };
    expect(parseTailnet(without, undefined, where).nodes.every((node) => node.sharedIn)).toBe(true);
  });

  it("strips what a terminal would act on, everywhere", () => {
    const nasty = "\u001b[31mred\u001b]0;title\u0007\n\u202e";
    const { status, services } = tailnetState({
      name: `t${nasty}`,
      health: [nasty],
      self: { name: `s${nasty}`, addresses: [nasty] },
      nodes: [{ name: `n${nasty}`, id: `i${nasty}`, addresses: ["100.64.0.1"], tags: [`tag:${nasty}`], routes: [nasty] }],
      services: { [`svc:${nasty}`]: { addresses: [nasty], ports: [nasty] } },
    });
    const shown = JSON.stringify(parseTailnet(status, services ?? undefined, where));
    expect(shown).toContain("tag:red");
    expect(shown).not.toMatch(/\\u001b|\\n|\u202e|\[31m|title/);
  });

  it("is not disturbed by the order of the peers", () => {
    const nodes = ["a", "b", "c"].map((name, i) => ({ name, addresses: [`100.64.0.${i}`] }));
    const one = parseTailnet(tailnetState({ nodes }).status, undefined, where);
    const other = parseTailnet(tailnetState({ nodes: nodes.toReversed() }).status, undefined, where);
    expect(other).toEqual(one);
  });

  it("survives any JSON in any place", () => {
    const peer = fc.record(
      { ID: fc.jsonValue(), DNSName: fc.jsonValue(), TailscaleIPs: fc.jsonValue(), Tags: fc.jsonValue(), PrimaryRoutes: fc.jsonValue() },
      { requiredKeys: [] },
    );
    const status = fc.record(
      {
        BackendState: fc.jsonValue(),
        CurrentTailnet: fc.jsonValue(),
        Self: fc.jsonValue(),
        Health: fc.jsonValue(),
        TUN: fc.jsonValue(),
        Peer: fc.oneof(fc.jsonValue(), fc.dictionary(fc.string(), fc.oneof(peer, fc.jsonValue()))),
      },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(status, fc.dictionary(fc.string(), fc.jsonValue()), (first, second) => {
        const tailnet = parseTailnet(first as Status, second as Services, where);
        for (const node of tailnet.nodes) {
          expect(node.id).not.toBe("");
          expect([node.name, ...node.tags, ...node.routes, ...node.addresses].every((text) => typeof text === "string")).toBe(true);
        }
      }),
    );
  });

  it.each([
    ["tcp:9092", { first: 9092, last: 9092 }],
    ["tcp:8000-8010", { first: 8000, last: 8010 }],
    ["9092", { first: 9092, last: 9092 }],
    ["6:80", { first: 80, last: 80 }],
    ["tcp:*", { first: 1, last: 65_535 }],
    ["*", { first: 1, last: 65_535 }],
    ["udp:53", undefined],
    ["tcp:0", undefined],
    ["tcp:70000", undefined],
    ["tcp:9-8", undefined],
    ["tcp:", undefined],
    ["do-not-validate", undefined],
  ])("reads the ports %s", (text, range) => {
    expect(parsePorts(text)).toEqual(range);
  });
});
