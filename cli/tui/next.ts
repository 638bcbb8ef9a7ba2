/** What to type when something is wrong, and what is wrong besides the attachments. */
import type { StatusReport } from "../../contract/api.ts";
import { credentialWords } from "../../contract/credential-words.ts";
import { type Line, span } from "./line.ts";
import { clean, type News } from "./scene.ts";

/** The steps in the order in which they help, each once. */
export function nextSteps({ link, report }: News): readonly string[] {
  const steps: (string | null)[] = [];
  if (link.state === "gone") steps.push(link.next);
  else if (report !== undefined) {
    if (report.tailnet.name !== null && !report.tailnet.trusted) steps.push(report.tailnet.next);
    steps.push(report.detached && report.bazel.next === null ? "flywheel up" : report.bazel.next, report.nix.next);
    if (report.tailnet.name === null) steps.push(report.tailnet.next);
    steps.push(...ending(report).map(({ next }) => next));
  }
  return [...new Set(steps.filter((step) => step !== null).map(clean))];
}

/** What is to be seen before anything else. */
export function warnings({ link, report }: News): readonly string[] {
  if (link.state === "gone" || report === undefined) return [];
  const died = report.running.flatMap(({ tool, command, lost }) => (lost === null ? [] : [`lost mid-build: ${tool} ${command}: ${lost}`]));
  const proof = "local proof: the cache is on this machine; this proves no shared cache";
  const local = report.profileState === "local-proof" ? [proof] : [];
  return [...died, ...local, ...ending(report).map(({ words }) => words), ...(report.daemon?.faults ?? [])].map(clean);
}

/** The credentials in use that end soon, or have ended. */
function ending(report: StatusReport): readonly { readonly words: string; readonly next: string }[] {
  return (["bazel", "nix"] as const).flatMap((kind) => {
    const { credential } = report[kind];
    if (credential === undefined) return [];
    const { text, worry } = credentialWords(credential, new Date());
    return worry ? [{ words: `${kind}: credential ${text}`, next: credential.next }] : [];
  });
}

export function nextLines(news: News): Line[] {
  return [
    ...warnings(news).map((text): Line => [span(" ! ", "warn"), span(` ${text}`, "strong")]),
    ...nextSteps(news).map((text): Line => [span("next      "), span(text, "strong")]),
  ];
}
