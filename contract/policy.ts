/**
 * What an operator adds to a tailnet so that discovery finds the caches of a profile: the policy lines (HuJSON) and the
 * commands, for Tailscale and for headscale. Section names and forms: Tailscale's "Syntax reference for the tailnet policy
 * file" and "Tailscale Services"; headscale's "Policy" and "Tags". Every value in them has passed the profile's grammar.
 */
import type { Tool } from "./endpoint.ts";
import { portsOf } from "./ports.ts";
import type { Profile } from "./profile.ts";

export interface PolicyPart {
  /** To merge into the policy file. */
  readonly policy: string;
  /** In order; a line that begins with `#` is for a person. */
  readonly commands: readonly string[];
}

export interface PolicyAdvice {
  readonly kinds: readonly Tool[];
  readonly tailscale: PolicyPart;
  /** headscale has tags, but no Services. */
  readonly headscale: PolicyPart;
}

/** @param kinds of which caches; at least one */
export function policyAdvice(profile: Profile, kinds: readonly Tool[]): PolicyAdvice {
  return { kinds, tailscale: tailscale(profile, kinds), headscale: headscale(profile, kinds) };
}

/** Each once: the same port may be tried by two schemes. */
function portNumbers(profile: Profile, kind: Tool): readonly number[] {
  return [...new Set(portsOf(profile, kind).map(({ port }) => port))];
}

function tailscale(profile: Profile, kinds: readonly Tool[]): PolicyPart {
  const tcp = (kind: Tool): readonly string[] => portNumbers(profile, kind).map((port) => `tcp:${port}`);
  const owners = tagsOf(profile, kinds).map((tag) => `  ${quoted(tag)}: ["autogroup:admin"],`);
  const grant = (dst: string, kind: Tool): string =>
    `  {"src": ["autogroup:member"], "dst": [${quoted(dst)}],\n   "ip": [${tcp(kind).map(quoted).join(", ")}]},`;
  const services = kinds.map((kind) => `    ${quoted(profile[kind].service)}: [${quoted(profile[kind].tag)}],`);
  const policy = [
    '"tagOwners": {',
    ...owners,
    "},",
    "// Narrow autogroup:member to a group where not every member may read.",
    '"grants": [',
    ...kinds.map((kind) => grant(profile[kind].tag, kind)),
    "  // Only for Services:",
    ...kinds.map((kind) => grant(profile[kind].service, kind)),
    "],",
    "// Only for Services: then their hosts need no approval by hand.",
    '"autoApprovers": {',
    '  "services": {',
    ...services,
    "  },",
    "},",
    ...(profile.cluster.enabled
      ? [
          "// For caches inside a cluster: its subnet router carries one of these tags too, and",
          "// autoApprovers.routes names the cluster's service CIDR.",
        ]
      : []),
  ];
  const commands = [
    "# on each machine that runs a cache, by its tag alone",
    ...kinds.map((kind) => `sudo tailscale up --advertise-tags=${profile[kind].tag}`),
    "# or, as a Service: define it on the admin console's Services page",
    ...kinds.map((kind) => `#   ${profile[kind].service}: ${tcp(kind).join(", ")}`),
    "# and serve it from the tagged machine, each port that it listens on",
    ...kinds.flatMap((kind) =>
      portNumbers(profile, kind)
        .slice(0, 1)
        .map((port) => `sudo tailscale serve --service=${profile[kind].service} --tcp=${port} 127.0.0.1:${port}`),
    ),
  ];
  return { policy: policy.join("\n"), commands };
}

function headscale(profile: Profile, kinds: readonly Tool[]): PolicyPart {
  const policy = [
    "// Replace you@ by the headscale user that may give these tags.",
    '"tagOwners": {',
    ...tagsOf(profile, kinds).map((tag) => `  ${quoted(tag)}: ["you@"],`),
    "},",
    '"acls": [',
    ...kinds.map(
      (kind) =>
        `  {"action": "accept", "proto": "tcp", "src": ["autogroup:member"],\n   "dst": [${quoted(`${profile[kind].tag}:${portNumbers(profile, kind).join(",")}`)}]},`,
    ),
    "],",
  ];
  const commands = [
    "headscale nodes list",
    ...tagsOf(profile, kinds).map((tag) => `headscale nodes tag -i <id of the cache's node> -t ${tag}`),
  ];
  return { policy: policy.join("\n"), commands };
}

function tagsOf(profile: Profile, kinds: readonly Tool[]): readonly string[] {
  return [...new Set(kinds.map((kind) => profile[kind].tag))];
}

function quoted(text: string): string {
  return `"${text}"`;
}
