/** Hosts that look like names and are addresses to a resolver, and names that are loopback on every machine. */
import { expect, it } from "vitest";
import { isClusterService, isLoopback, parseEndpoint } from "../../contract/endpoint.ts";

it.each([
  ...["127.0.0x1", "127.0x1", "0x7f.1", "0x7f000001", "127.1", "2130706433", "017700000001", "0177.0.0.1", "127.0.0.1.", "0x", "1.2.3.08"],
  ...["cache.0x1", "cache.1", "1.2.3.4.5", "[::1%lo]", "[127.0.0.1]", "localhost..", "１２７.0.0.1", "lоcalhost"],
])("no endpoint: %s", (host) => {
  expect(parseEndpoint(`http://${host}:8080`, "bazel").ok).toBe(false);
});

it.each([
  ...["LOCALHOST", "localhost.", "x.localhost", "localhost.localdomain", "localhost6", "localhost4.localdomain4"],
  ...["ip6-localhost", "ip6-loopback", "127.0.0.1", "127.255.0.9", "0.0.0.0", "[::1]", "[0:0::1]", "[::]", "[::ffff:127.0.0.1]"],
])("loopback: %s", (host) => {
  const parsed = parseEndpoint(`http://${host}:8080`, "bazel");
  expect(parsed.ok && isLoopback(parsed.endpoint.host)).toBe(true);
});

it.each(["cache1", "1cache", "cache.b2", "x.0xg", "cache-1.example.ts.net", "100.64.0.5", "[fd7a:115c:a1e0::5]", "notlocalhost"])(
  "somewhere else: %s",
  (host) => {
    const parsed = parseEndpoint(`http://${host}:8080`, "bazel");
    expect(parsed.ok && !isLoopback(parsed.endpoint.host)).toBe(true);
  },
);

it("knows how a pod names a Service of its own cluster", () => {
  for (const host of ["cell", "cell.rbe.svc", "cell.rbe.svc.cluster.local"]) expect(isClusterService(host), host).toBe(true);
  const others = [
    "localhost",
    "cell.rbe",
    "cell.rbe.svc.example.org",
    "a.b.c.svc",
    "cell.rbe.svc.cluster.local.evil.com",
    "10.0.0.1",
    "fd00::1",
  ];
  for (const host of others) expect(isClusterService(host), host).toBe(false);
});
