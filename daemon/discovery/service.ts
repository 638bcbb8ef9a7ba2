/** The Tailscale Service of the profile's name. whois cannot name a Service's node, so its own addresses are the pin. */
import type { Candidate, Rejection } from "../../contract/candidate.ts";
import type { Tool } from "../../contract/endpoint.ts";
import { localProofNext } from "../../contract/local-proof.ts";
import { portsOf } from "../../contract/ports.ts";
import type { Profile } from "../../contract/profile.ts";
import type { KnownTailnet } from "../tailnet/tailnet.ts";
import { type Finding, spellings } from "./finding.ts";
import { dialable } from "./trust.ts";

/** @param tailnet a trusted one */
export function fromServices(
  kind: Tool,
  input: { readonly profile: Profile; readonly tailnet: KnownTailnet; readonly localProof: boolean },
): Finding {
  const { profile, tailnet, localProof } = input;
  const name = profile[kind].service;
  const service = tailnet.services?.find((one) => one.name === name);
  if (service === undefined) return { candidates: [], rejections: [] };
  const reject = (reason: string, next?: string): Finding => {
    const rejection: Rejection = { kind, source: "service", subject: name, reason, ...(next === undefined ? {} : { next }) };
    return { candidates: [], rejections: [rejection] };
  };
  if (tailnet.magicDnsSuffix === "") return reject("the tailnet has no MagicDNS suffix to name it under");
  if (service.addresses.length === 0) return reject("Tailscale gives no address for it");
  const pin = dialable(service.addresses, localProof);
  if (pin.length === 0) return reject("its addresses are on loopback, which is no shared cache", localProofNext);
  const wanted = portsOf(profile, kind);
  // A Service without ports has them unchecked (`do-not-validate`): then the convention stands.
  const offered = wanted.filter(
    ({ port }) => service.ports.length === 0 || service.ports.some((range) => range.first <= port && port <= range.last),
  );
  if (offered.length === 0) {
    const has = service.ports.map((range) => (range.first === range.last ? `${range.first}` : `${range.first}-${range.last}`)).slice(0, 8);
    return reject(
      `it offers ${has.join(", ")}, and profile ${profile.name} looks on ${wanted.map(({ port }) => port).join(", ")}`,
      "name its ports in the profile",
    );
  }
  // `svc:` and a DNS label, by the profile's grammar.
  const dns = `${name.slice("svc:".length)}.${tailnet.magicDnsSuffix}`;
  const candidates = offered.flatMap((at): Candidate[] => {
    const spelled = spellings(kind, dns, pin, at);
    return spelled === undefined ? [] : [{ ...spelled, source: { name: "service", service: name, pin } }];
  });
  return { candidates, rejections: [] };
}
