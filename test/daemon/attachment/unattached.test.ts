import { expect, test } from "vitest";
import type { Candidate, CandidateSource, Rejection } from "../../../contract/candidate.ts";
import { type Failure, nextOf, type Tried, whyUnattached } from "../../../daemon/attachment/unattached.ts";
import { endpointOf } from "../../fixtures/endpoint.ts";

const operator: CandidateSource = { name: "operator", from: "config", localProof: false };
const peer: CandidateSource = { name: "peer", node: "cache.tail.ts.net", nodeId: "n1", tag: "tag:bazel-cache", pin: ["100.64.0.5"] };
const candidate = (host: string, source: CandidateSource): Candidate => ({
  endpoint: endpointOf({ kind: "bazel", scheme: "grpc", host, port: 9092 }),
  source,
  aliases: [],
});
const failure = (rung: Failure["rung"], next?: string): Failure => ({
  ok: false,
  rung,
  reason: `no ${rung}`,
  ...(next === undefined ? {} : { next }),
});
const tried = (host: string, rung: Failure["rung"], at?: number): Tried => ({
  candidate: candidate(host, peer),
  outcome: failure(rung),
  proof: at === undefined ? undefined : { at: new Date(at) },
});
const why = (more: { tried?: readonly Tried[]; rejections?: readonly Rejection[] }) =>
  whyUnattached({ tried: [], rejections: [], tailnetKnown: true, nothingNamed: () => ({ reason: "nothing", next: "name one" }), ...more });

test("the endpoint that was proved last tells most, then the one that climbed highest; which one it is, is no guess from the words", () => {
  const [low, high, once] = [tried("a", "connect"), tried("b", "handshake"), tried("c", "connect", 1)];
  expect(why({ tried: [low, high] })).toMatchObject({
    reason: "no handshake; 1 more failed too",
    about: "grpc://b:9092",
    rung: "handshake",
  });
  expect(why({ tried: [low, high, once] })).toMatchObject({ about: "grpc://c:9092" });
  expect(why({})).toEqual({ reason: "nothing", next: "name one" });
});

test("what the user wrote comes before the tailnet's state", () => {
  const tailnet = { kind: "bazel", source: "peer", subject: "tailnet", reason: "there is no Tailscale client", namesItself: true } as const;
  const half = {
    kind: "bazel",
    source: "local-proof",
    subject: "grpc://localhost:1",
    reason: "it is not allowed",
    next: "allow it",
  } as const;
  expect(why({ rejections: [tailnet] })).toEqual({ reason: "no candidate: there is no Tailscale client", about: "tailnet" });
  expect(why({ rejections: [tailnet, half] })).toEqual({
    reason: "no candidate: grpc://localhost:1: it is not allowed",
    about: "grpc://localhost:1",
    next: "allow it",
  });
});

test("advice goes by whoever named the endpoint, and by whether there is a tailnet", () => {
  const advised = (source: CandidateSource, rung: Failure["rung"], tailnetKnown = true): string =>
    nextOf(candidate("cache.example.com", source), failure(rung), tailnetKnown);
  expect(advised(peer, "connect")).toContain("the tailnet's policy");
  expect(advised(operator, "connect")).not.toContain("tailnet");
  expect(advised({ name: "local-proof", from: "config" }, "connect")).toBe("see that the port-forward runs");
  expect(advised(operator, "resolve")).toContain("MagicDNS");
  expect(advised(operator, "resolve", false)).toBe("check the name, and that this machine's DNS knows it");
  expect(advised(operator, "route", false)).not.toContain("tailscale status");
  expect(nextOf(candidate("a", peer), failure("connect", "the probe's own word"), true)).toBe("the probe's own word");
});
