/** The rung `route`: whether the kernel would send a tool's packets to the address, and through the tailnet where it must. */
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { isIPv6 } from "node:net";
import type { CandidateSource } from "../../contract/candidate.ts";
import { isLoopback } from "../../contract/endpoint.ts";
import type { ProbeContext } from "./context.ts";
import { ProbeFault } from "./fault.ts";
import { type Place, sentInPlainText } from "./place.ts";
import { canonical } from "./resolve.ts";

const encrypt = "connect this machine to the tailnet: tailscale up   (or have the cache speak TLS)";

/**
 * A secret without TLS goes through the tailnet, whoever named the endpoint: an address of Tailscale's range alone says
 * nothing, since any network may route 100.64.0.0/10 (RFC 6598). Sends nothing: connecting a datagram socket only asks the kernel for its route.
 * @throws ProbeFault `route`; or the kernel's own error (ENETUNREACH …)
 */
export async function checkRoute(place: Place, source: CandidateSource, context: ProbeContext, signal: AbortSignal): Promise<void> {
  if (isLoopback(place.address)) return;
  const plainSecret = sentInPlainText(place.endpoint, { ...context, kept: place.kept });
  if (plainSecret && context.tailnet?.running !== true) {
    throw new ProbeFault(
      "route",
      `no Tailscale client says that this machine is on a tailnet now: the credential would go to ${place.address} in plain text`,
      { next: encrypt },
    );
  }
  const throughTailnet = plainSecret || source.name === "service" || source.name === "peer" || source.name === "cluster";
  const tailnet = throughTailnet ? context.tailnet : undefined;
  if (tailnet?.tun === false) {
    throw new ProbeFault(
      "route",
      `tailscaled runs without a network device (userspace networking): the kernel has no route to ${place.address}, so ${place.endpoint.kind} could not dial it either`,
      { next: "run tailscaled with a TUN device" },
    );
  }
  const from = canonical(await sourceAddress(place.address, place.endpoint.port, signal));
  if (tailnet === undefined || tailnet.addresses.some((own) => canonical(own) === from)) return;
  const outside = `this machine would reach ${place.address} from ${from}, which is not its tailnet address`;
  if (plainSecret) throw new ProbeFault("route", `${outside}: the credential would be sent in plain text`, { next: encrypt });
  if (tailnet.addresses.length === 0) return;
  throw new ProbeFault("route", `${outside}: not through the tailnet`, {
    next: source.name === "cluster" ? "accept the tailnet's subnet routes: tailscale set --accept-routes" : undefined,
  });
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
