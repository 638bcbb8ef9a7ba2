import fc from "fast-check";
import { expect, test } from "vitest";
import type { Candidate, CandidateSource } from "../../../contract/candidate.ts";
import { type Contender, challengerOf, choose, standbyOf, trustRank, verdictOn } from "../../../daemon/attachment/choose.ts";
import { whyLeft, whyNot } from "../../../daemon/attachment/why.ts";
import { endpointOf } from "../../fixtures/endpoint.ts";

const origin = {
  attach: { name: "operator", from: "attach", localProof: false },
  config: { name: "operator", from: "config", localProof: false },
  service: { name: "service", service: "svc:bazel-cache", pin: ["100.64.0.9"] },
  peer: { name: "peer", node: "cache.tail.ts.net", nodeId: "n1", tag: "tag:bazel-cache", pin: ["100.64.0.5"] },
  cluster: { name: "cluster", route: "10.0.0.0/8", node: "router.tail.ts.net", pin: ["10.1.1.1"] },
  localProof: { name: "local-proof", from: "config" },
} satisfies Record<string, CandidateSource>;

function contender(host: string, from: keyof typeof origin, rest: Partial<Contender> & { scheme?: "grpc" | "http" } = {}): Contender {
  const { scheme = "grpc", ...known } = rest;
  const candidate: Candidate = { endpoint: endpointOf({ kind: "bazel", scheme, host, port: 9092 }), source: origin[from], aliases: [] };
  return { candidate, health: "healthy", latencyMs: 10, passes: 3, recovering: undefined, ...known };
}

const onTrial = { flaps: 2, proofsWanted: 0, msWanted: 41_500 };
const url = (one: Contender | undefined): string | undefined => one?.candidate.endpoint.url;

test("trust goes before health and latency", () => {
  const operator = contender("a", "config", { health: "degraded", latencyMs: 500 });
  const peer = contender("b", "peer", { latencyMs: 1 });
  expect(url(choose([peer, operator], undefined))).toBe("grpc://a:9092");
  const order = (Object.keys(origin) as (keyof typeof origin)[]).map((from) => trustRank(contender("x", from).candidate));
  expect(order).toEqual(order.toSorted((a, b) => a - b));
  expect(new Set(order).size).toBe(order.length);
});

test("of one trust: health, then gRPC, then latency", () => {
  const slow = contender("a", "peer", { latencyMs: 30 });
  expect(url(choose([contender("b", "peer", { health: "degraded", latencyMs: 1 }), slow], undefined))).toBe("grpc://a:9092");
  expect(url(choose([contender("c", "peer", { scheme: "http", latencyMs: 1 }), slow], undefined))).toBe("grpc://a:9092");
  expect(url(choose([contender("d", "peer", { latencyMs: 1 }), slow], undefined))).toBe("grpc://d:9092");
});

test("equals do not take over from each other; one that is clearly faster does", () => {
  const held = contender("a", "peer", { latencyMs: 20 });
  const current = held.candidate.endpoint.url;
  expect(choose([contender("b", "peer", { latencyMs: 15 }), held], current)).toBe(held);
  expect(
    choose([contender("b", "peer", { latencyMs: 1 }), contender("a", "peer", { latencyMs: 3 })], current)?.candidate.endpoint.url,
  ).toBe(current);
  expect(url(choose([contender("b", "peer", { latencyMs: 5 }), held], current))).toBe("grpc://b:9092");
});

test("one slow answer right after the start moves nothing: both must have passed three times in a row", () => {
  const held = (passes: number): Contender => contender("a", "peer", { latencyMs: 15, passes });
  const challenger = (passes: number): Contender => contender("b", "peer", { latencyMs: 3.4, passes });
  const chosen = (a: number, b: number) => url(choose([held(a), challenger(b)], "grpc://a:9092"));
  expect([chosen(1, 1), chosen(2, 5), chosen(5, 2)]).toEqual(Array.from({ length: 3 }, () => "grpc://a:9092"));
  expect(chosen(3, 3)).toBe("grpc://b:9092");
  expect(verdictOn(challenger(2), held(2))).toEqual({
    takesOver: false,
    why: "as good as the attached one, which stays (it is too early to tell whether it is faster: 3.4 ms against 15 ms)",
  });
  // Trust and protocol need no patience.
  expect(url(choose([held(1), contender("b", "service", { passes: 1 })], "grpc://a:9092"))).toBe("grpc://b:9092");
});

test("a more trusted one takes over only once it is healthy; a degraded one gives way to a healthy equal", () => {
  const held = contender("a", "peer");
  const current = held.candidate.endpoint.url;
  expect(choose([contender("b", "service", { health: "degraded" }), held], current)).toBe(held);
  expect(url(choose([contender("b", "service"), held], current))).toBe("grpc://b:9092");
  expect(url(choose([contender("b", "peer"), contender("a", "peer", { health: "degraded" })], current))).toBe("grpc://b:9092");
});

test("nothing proved, nothing chosen; and what is chosen stays chosen", () => {
  expect(choose([], "grpc://a:9092")).toBeUndefined();
  const any = fc.record({
    host: fc.constantFrom("a", "b", "c", "d"),
    from: fc.constantFrom(...(Object.keys(origin) as (keyof typeof origin)[])),
    health: fc.constantFrom("healthy" as const, "degraded" as const),
    latencyMs: fc.integer({ min: 0, max: 100 }),
    passes: fc.integer({ min: 1, max: 4 }),
    recovering: fc.constantFrom(undefined, onTrial),
  });
  fc.assert(
    fc.property(
      fc.uniqueArray(any, { selector: (one) => one.host, minLength: 1 }),
      fc.option(fc.constantFrom("a", "b")),
      (all, current) => {
        const contenders = all.map(({ host, from, ...rest }) => contender(host, from, rest));
        const chosen = choose(contenders, current === null ? undefined : `grpc://${current}:9092`);
        expect(chosen).toBeDefined();
        expect(choose(contenders, url(chosen))).toBe(chosen);
        // What is said of the others is what decided.
        for (const other of contenders)
          if (chosen !== undefined && other !== chosen) expect(verdictOn(other, chosen).takesOver).toBe(false);
      },
    ),
  );
});

test("one on trial displaces nobody, but is better than none; and of two on trial neither displaces the other", () => {
  const held = contender("a", "peer");
  const back = contender("b", "config", { recovering: onTrial });
  expect(choose([back, held], url(held))).toBe(held);
  expect(choose([back, held], undefined)).toBe(held);
  expect(choose([back], undefined)).toBe(back);
  const both = [contender("a", "peer", { recovering: onTrial }), back] as const;
  expect(choose(both, url(both[0]))).toBe(both[0]);
  // A steady one, however good, waits until the attached one fails: its own trial is no reason to move again.
  expect(choose([back, held], url(back))).toBe(back);
  expect(challengerOf([back, held], held)).toBe(back);
  expect(challengerOf([contender("c", "cluster", { recovering: onTrial }), held], held)).toBeUndefined();
});

test("the standby is the best of the rest that would not go down with the attached one", () => {
  const held = contender("a", "config");
  const beside = { ...contender("a", "config", { scheme: "http" }) };
  const elsewhere = contender("b", "config", { scheme: "http", latencyMs: 90 });
  const shaky = contender("c", "attach", { recovering: onTrial });
  expect(standbyOf([held, beside, elsewhere, shaky], url(held) ?? "")).toBe(elsewhere);
  expect(standbyOf([held, beside, shaky], url(held) ?? "")).toBe(beside);
  expect(standbyOf([held, shaky], url(held) ?? "")).toBe(shaky);
  expect(standbyOf([held], url(held) ?? "")).toBeUndefined();
});

test("why a candidate is not the one, in words", () => {
  const held = contender("a", "service", { latencyMs: 3 });
  const since = new Date(2026, 10, 20, 22, 13, 5);
  const why = (other: Contender): string => whyNot({ health: other.health, outcome: passed, since, contender: other }, held);
  const passed = { ok: true, latencyMs: 1, address: "", facts: {} } as const;
  const failed = { ok: false, rung: "connect", reason: "refused" } as const;
  expect(why(contender("b", "peer"))).toBe("less trusted than the attached one (peer after service)");
  expect(why(contender("b", "service", { latencyMs: 4 }))).toBe(
    "as good as the attached one, which stays (it is not clearly faster: 4.0 ms against 3.0 ms)",
  );
  expect(why(contender("b", "service", { scheme: "http" }))).toBe("HTTP, and the attached one speaks gRPC");
  expect(why(contender("b", "attach", { health: "degraded" }))).toBe("recovering: its last proof passed, one more is wanted");
  expect(why(contender("b", "attach", { recovering: onTrial }))).toBe(
    "recovering: it failed 2 times lately, and must pass for another 42 s",
  );
  expect(why(contender("b", "attach", { recovering: { flaps: 1, proofsWanted: 2, msWanted: 0 } }))).toBe(
    "recovering: it failed lately, and 2 more proofs are wanted",
  );
  expect(why(contender("b", "attach"))).toBe("it is better than the attached one: its next proof decides");
  const down = { health: "down", outcome: failed, since, contender: undefined } as const;
  expect(whyNot(down, held)).toBe("down at connect since 2026-11-20 22:13:05");
  expect(whyNot({ ...down, health: "degraded" }, undefined)).toBe("failed its last proof, at connect since 2026-11-20 22:13:05");
  expect(whyNot({ ...down, health: "unknown", outcome: undefined }, held)).toBe("its first proof is still to come");
  expect(whyNot({ ...down, outcome: passed }, undefined)).toBe("its last proof passed; which one is attached is being decided");
  expect(whyNot(down, "detached")).toBe("detached");
  expect(whyLeft({ outcome: failed, why: "down at connect" })).toBe("connect: refused");
  expect(whyLeft({ outcome: passed, why: "detached" })).toBe("detached");
  expect(whyLeft(undefined)).toBe("it is no candidate any more");
});
