/** The rung `route`: whether the kernel would send a tool's packets to the address, and through the tailnet where it must. */
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { isIPv6 } from "node:net";
import type { CandidateSource } from "../../contract/candidate.ts";
import { isLoopback } from "../../contract/endpoint.ts";
import type { ProbeContext } from "./context.ts";
import { ProbeFault } from "./fault.ts";
import type { Place } from "./place.ts";
import { canonical } from "./resolve.ts";

/**
 * Sends nothing: connecting a datagram socket only asks the kernel for its route.
 * @throws ProbeFault `route`; or the kernel's own error (ENETUNREACH …)
 */
export async function checkRoute(place: Place, source: CandidateSource, context: ProbeContext, signal: AbortSignal): Promise<void> {
  if (isLoopback(place.address)) return;
  const throughTailnet = source.name === "service" || source.name === "peer" || source.name === "cluster";
  const tailnet = throughTailnet ? context.tailnet : undefined;
  if (tailnet?.tun === false) {
    throw new ProbeFault(
      "route",
      `tailscaled runs without a network device (userspace networking): the kernel has no route to ${place.address}, so ${place.endpoint.kind} could not dial it either`,
      { next: "run tailscaled with a TUN device" },
    );
  }
  const from = canonical(await sourceAddress(place.address, place.endpoint.port, signal));
  if (tailnet === undefined || tailnet.addresses.length === 0 || tailnet.addresses.some((own) => canonical(own) === from)) return;
  throw new ProbeFault(
    "route",
    `this machine would reach ${place.address} from ${from}, which is not its tailnet address: not through the tailnet`,
    {
      next: source.name === "cluster" ? "accept the tailnet's subnet routes: tailscale set --accept-routes" : undefined,
    },
  );
}

/** The address that the kernel would send from. */
async function sourceAddress(address: string, port: number, signal: AbortSignal): Promise<string> {
  const socket = createSocket(isIPv6(address) ? "udp6" : "udp4");
  try {
    const connected = once(socket, "connect", { signal });
    socket.connect(port, address);
    await connected;
    return socket.address().address;
  } finally {
    socket.close();
  }
}
