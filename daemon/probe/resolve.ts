/** The rung `resolve`: which addresses may be dialled for a candidate. Nothing is dialled here. */
import { lookup } from "node:dns/promises";
import type { Candidate, CandidateSource } from "../../contract/candidate.ts";
import { isTailscaleHost } from "../../contract/credential.ts";
import { isAddress, isLoopback } from "../../contract/endpoint.ts";
import { localProofNext } from "../../contract/local-proof.ts";
import { printable } from "../../contract/text.ts";
import type { ProbeContext } from "./context.ts";
import { ProbeFault } from "./fault.ts";
import { sentInPlainText } from "./place.ts";
import { codeOf } from "./reason.ts";

/** Resolves a name as the tools will: to all its addresses, in the order to try them. */
export type Lookup = (name: string) => Promise<readonly string[]>;

/** The operating system's resolver; IPv4 first, as discovery publishes addresses. */
export const systemLookup: Lookup = async (name) => (await lookup(name, { all: true, order: "ipv4first" })).map((entry) => entry.address);

/** A name with more addresses than this is no cache of one operator: the rest is not tried. */
const mostAddresses = 4;

/**
 * @returns one to four addresses, canonical, in the order to try them
 * @throws ProbeFault `resolve` where the name has none, where one is not pinned, or where loopback is not allowed.
 *   One address outside the pin condemns the name: the tool that resolves it later may take any of them.
 */
export async function resolveCandidate(
  candidate: Candidate,
  context: ProbeContext,
  lookupName: Lookup,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const { host } = candidate.endpoint;
  const named = isAddress(host) ? undefined : host;
  // A name that can only be this machine is not even looked up.
  if (isLoopback(host) && !loopbackAllowed(candidate.source, context)) throw loopbackFault(host, undefined);
  const found = named === undefined ? [host] : await resolveName(named, lookupName, signal);
  const addresses = [...new Set(found.map(canonical))];
  const loopback = addresses.find(isLoopback);
  if (loopback !== undefined && !loopbackAllowed(candidate.source, context)) throw loopbackFault(host, loopback);
  const pin = pinOf(candidate.source);
  const stray = pin === undefined ? undefined : addresses.find((address) => !pin.addresses.includes(address));
  if (pin !== undefined && stray !== undefined) {
    throw new ProbeFault(
      "resolve",
      named === undefined
        ? `${stray} is not an address of ${pin.owner}`
        : `${named} resolves to ${stray}, which is not an address of ${pin.owner}`,
      { next: named === undefined ? undefined : "let the tailnet answer for its own names: tailscale set --accept-dns=true" },
    );
  }
  // Away from the tailnet anybody's resolver may answer for its names, and what is sent is not encrypted there.
  const outside = addresses.find((address) => !isLoopback(address) && !isTailscaleHost(address));
  if (outside !== undefined && sentInPlainText(candidate.endpoint, context)) {
    throw new ProbeFault("resolve", `${host} is ${outside} here, which is not on the tailnet: the credential would be sent in plain text`, {
      next: "connect this machine to the tailnet: tailscale up",
    });
  }
  return addresses.slice(0, mostAddresses);
}

async function resolveName(name: string, lookupName: Lookup, signal: AbortSignal): Promise<readonly string[]> {
  let found: readonly string[];
  try {
    found = await unlessAborted(lookupName(name), signal);
  } catch (error) {
    const code = codeOf(error);
    if (code === "ENOTFOUND" || code === "ENODATA")
      throw new ProbeFault("resolve", `the name ${name} has no address here`, { cause: error });
    if (code === "EAI_AGAIN")
      throw new ProbeFault("resolve", `no resolver answered for the name ${name}`, { kind: "broken", cause: error });
    throw error;
  }
  if (found.length === 0) throw new ProbeFault("resolve", `the name ${name} has no address here`);
  return found;
}

/** getaddrinfo cannot be called off; its late answer is dropped. */
function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  const abort = (): void => reject(signal.reason);
  signal.addEventListener("abort", abort, { once: true });
  work.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  return promise;
}

function loopbackAllowed(source: CandidateSource, context: ProbeContext): boolean {
  return context.localProof || (source.name === "operator" && source.localProof);
}

function loopbackFault(host: string, address: string | undefined): ProbeFault {
  const what =
    address === undefined || address === host ? `${host} is this machine itself` : `${host} resolves to ${address}, this machine itself`;
  return new ProbeFault("resolve", `${what}: loopback counts only as a local proof`, { next: localProofNext });
}

function pinOf(source: CandidateSource): { owner: string; addresses: readonly string[] } | undefined {
  switch (source.name) {
    case "service":
      return { owner: `the service ${printable(source.service, 80)}`, addresses: source.pin.map(canonical) };
    case "peer":
      return { owner: `node ${printable(source.node, 80)}`, addresses: source.pin.map(canonical) };
    case "cluster":
      return { owner: `what node ${printable(source.node, 80)} routes`, addresses: source.pin.map(canonical) };
    case "operator":
    case "local-proof":
      return undefined;
  }
}

/** One spelling for each address: lower case, IPv6 compressed as URL does it, IPv4-mapped as IPv4. */
export function canonical(address: string): string {
  if (!address.includes(":")) return address;
  if (!URL.canParse(`http://[${address}]/`)) return address.toLowerCase();
  const text = new URL(`http://[${address}]/`).hostname.slice(1, -1);
  const mapped = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(text);
  if (mapped === null) return text;
  const high = Number.parseInt(mapped[1] ?? "", 16);
  const low = Number.parseInt(mapped[2] ?? "", 16);
  return `${high >> 8}.${high & 255}.${low >> 8}.${low & 255}`;
}
