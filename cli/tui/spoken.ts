/** The same for a screen reader: sentences, each spoken when it changes, and no figure that changes by itself. */
import type { StatusReport } from "../../contract/api.ts";
import type { Tool } from "../../contract/endpoint.ts";
import { pathWords } from "../../contract/words.ts";
import { nextSteps, warnings } from "./next.ts";
import { clean, type News } from "./scene.ts";
import { kindName, verdictOf } from "./verdict.ts";

/** By topic, so that only what changed is said again. */
export function sentences(news: News): ReadonlyMap<string, string> {
  const { link, report } = news;
  const said = new Map<string, string>();
  if (link.state === "gone") said.set("daemon", `No daemon: ${clean(link.why)}. Press u to start it.`);
  else if (report === undefined) said.set("daemon", link.state === "starting" ? "Starting the daemon." : "Looking for the daemon.");
  else {
    said.set("daemon", "The daemon answers.");
    for (const kind of ["bazel", "nix"] as const) said.set(kind, attachmentSentence(kind, news, report));
    said.set("tailnet", tailnetSentence(report));
    for (const [at, text] of warnings(news).entries()) said.set(`warning ${at}`, `Warning: ${text}.`);
    for (const { pid, tool, command, directory, lost } of report.running) {
      const where = directory === null ? "" : ` in ${clean(directory)}`;
      said.set(
        `running ${pid}`,
        `${clean(tool)} ${clean(command)} runs${where}${lost === null ? "" : `: lost mid-build: ${clean(lost)}`}.`,
      );
    }
    for (const { id, tool, command, outcome } of report.recent)
      said.set(`ended ${id}`, `${clean(tool)} ${clean(command)} ended: ${outcome}.`);
    said.set("escapes", `${report.escapes.today} escapes and ${report.refusals.today} refusals today.`);
  }
  for (const [at, step] of nextSteps(news).entries()) said.set(`next ${at}`, `Next: ${step}`);
  return said;
}

function attachmentSentence(kind: Tool, news: News, report: StatusReport): string {
  const { word } = verdictOf(kind, news);
  const own = report[kind];
  const what = `${kindName[kind]}: ${word.toLowerCase()}`;
  if (own.state === "unattached")
    return `${what}: ${own.rung === null ? "" : `${own.rung}: `}${clean(own.reason ?? "no reason is known")}.`;
  const node = own.node === null ? "" : `, node ${clean(own.node)}`;
  const path = own.path === null ? "" : `, ${pathWords(own.path)}`;
  return `${what}: ${clean(own.endpoint ?? "")}${node}${path}.`;
}

function tailnetSentence({ tailnet }: StatusReport): string {
  if (tailnet.name === null) return `Tailnet: ${clean(tailnet.reason ?? "none")}.`;
  return `Tailnet: ${clean(tailnet.name)}, ${tailnet.trusted ? "trusted" : "not trusted"}.`;
}

/** What is to be said now that was not said before. */
export function newSentences(before: ReadonlyMap<string, string>, after: ReadonlyMap<string, string>): readonly string[] {
  return [...after].flatMap(([topic, text]) => (before.get(topic) === text ? [] : [text]));
}
