/** Endpoints in a workspace's rc files: where the fleet keeps none, since rc files are the repository's and endpoints the machine's. */
import { join } from "node:path";
import { holdsPlaceholder, parseEndpoint, redacted } from "../../contract/endpoint.ts";
import { printable } from "../../contract/text.ts";
import { rcLines } from "../bazelrc.ts";
import { type Check, checksOf } from "./report.ts";

const { warn, fail } = checksOf("workspace");

const option = /^--(remote_cache|remote_http_cache|remote_executor)=["']?([^"']+)["']?$/;

/** @param root the Bazel workspace: its own files and what they import, `.bazelrc.flywheel` of the fleet too */
export function checkRcEndpoints(root: string): readonly Check[] {
  const seen = new Set<string>();
  const checks: Check[] = [];
  for (const { file, line, words } of rcLines(root, [join(root, ".bazelrc"), join(root, ".bazelrc.flywheel")])) {
    const place = `${printable(file, 300)}:${line}`;
    for (const word of words) {
      const [, name, value] = option.exec(word) ?? [];
      if (name === undefined || value === undefined || seen.has(`${place} ${name}`)) continue;
      seen.add(`${place} ${name}`);
      checks.push(finding(place, name, value));
    }
  }
  return checks;
}

function finding(place: string, name: string, value: string): Check {
  if (holdsPlaceholder(value)) {
    return fail("rc-placeholder", `${place} gives --${name} a variable, which no rc file expands`, {
      reason: "Bazel takes it for the endpoint as it stands",
      next: "take it out: the guard gives the attached endpoint to each command",
    });
  }
  const parsed = parseEndpoint(value, "bazel");
  return warn("rc-endpoint", `${place} names an endpoint by --${name}${parsed.ok ? `: ${redacted(parsed.endpoint)}` : ""}`, {
    reason: "commands that the guard does not see go there, attached or not; where it sees them, its own flags overrule this",
    next: "take it out: endpoints are this machine's, and flywheel enroll writes them where git does not look",
  });
}
