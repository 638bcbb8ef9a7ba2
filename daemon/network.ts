/** This machine's own network as far as it decides where packets go, told in one string that changes when it does. */
import { readFileSync } from "node:fs";
import { networkInterfaces } from "node:os";

/** Beyond this a routing table is a router's, and reading it every few seconds a waste: bytes. */
const largestTable = 65_536;

/**
 * Addresses, and on Linux the default routes (proc_net(5)), since a laptop that changes from cable to radio may
 * keep both addresses. Elsewhere the addresses alone. Link-local addresses come and go with every container.
 */
export function networkPrint(): string {
  const addresses = Object.entries(networkInterfaces()).flatMap(([name, all]) =>
    (all ?? []).filter(({ internal, address }) => !internal && !address.startsWith("fe80:")).map(({ cidr }) => `${name} ${cidr}`),
  );
  return [...addresses.toSorted(), ...defaultRoutes()].join("\n");
}

function defaultRoutes(): readonly string[] {
  // Interface, destination, gateway, flags, reference count, use, metric, mask.
  const v4 = rows("/proc/net/route").filter(([, destination, , , , , , mask]) => destination === "00000000" && mask === "00000000");
  // Destination, its prefix, source, its prefix, next hop, metric, reference count, use, flags, interface.
  const v6 = rows("/proc/net/ipv6_route").filter(
    ([to, prefix, , , , , , , , via]) => /^0+$/.test(to ?? "") && prefix === "00" && via !== "lo",
  );
  return [
    ...v4.map(([via, , gateway, , , , metric]) => `${via} ${gateway} ${metric}`),
    ...v6.map(([, , , , hop, metric, , , , via]) => `${via} ${hop} ${metric}`),
  ];
}

function rows(file: string): readonly (readonly string[])[] {
  try {
    const text = readFileSync(file, "latin1");
    return text.length > largestTable ? [] : text.split("\n").map((line) => line.trim().split(/\s+/));
  } catch {
    // No /proc, or no IPv6.
    return [];
  }
}
