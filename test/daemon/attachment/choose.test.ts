import fc from "fast-check";
import { expect, test } from "vitest";
import type { Candidate, CandidateSource } from "../../../contract/candidate.ts";
import { type Contender, choose, trustRank } from "../../../daemon/attachment/choose.ts";
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
  return { candidate, health: "healthy", latencyMs: 10, recovering: undefined, ...known };
}

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
      },
    ),
  );
});
