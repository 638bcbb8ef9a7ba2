/** What says who and where on this machine, and the doctor's report without it. */
import { realpathSync } from "node:fs";
import { homedir, hostname, userInfo } from "node:os";
import { dirname } from "node:path";
import type { StatusReport } from "../../contract/api.ts";
import { type Known, Redactor } from "../../contract/redact.ts";
import type { HistoryEntry } from "../../daemon/api/client/journal/history.ts";
import { findWorkspace } from "../../shim/scope.ts";
import { type Facts, known } from "./facts.ts";
import type { DoctorReport } from "./report.ts";

/** The report as it may stand in a log that others read: the same redaction as the archive's. */
export function redactedReport(facts: Facts, report: DoctorReport): DoctorReport {
  const redactor = new Redactor(knownOf(facts, []));
  redactor.learn(JSON.stringify(report));
  return JSON.parse(redactor.redactJson(report).text) as DoctorReport;
}

/** @param past what ran: the workspaces in it are taken out too */
export function knownOf(facts: Facts, past: readonly HistoryEntry[]): Known {
  const { env, paths } = facts;
  const status = known(facts.status);
  const trust = known(facts.trust);
  const profile = known(facts.profile);
  const user = readUser();
  const homes = [facts.home, homedir(), env["HOME"], user?.homedir].filter(isText).filter((path) => path.startsWith("/"));
  const named = [status?.tailnet.self, status?.bazel.node, status?.nix.node, ...(status?.candidates ?? []).map((one) => one.node)];
  const turnedDown = (status?.rejections ?? []).filter((one) => one.source === "peer").map((one) => one.subject);
  return {
    hostNames: [hostname(), env["HOSTNAME"]].filter(isText),
    users: distinct([user?.username, env["USER"], env["LOGNAME"]].filter(isText)),
    directories: [
      ...spelled(paths.state).map((path) => ["<state>", path] as const),
      ...spelled(paths.config).map((path) => ["<config>", path] as const),
      ...spelled(paths.runtime).map((path) => ["<runtime>", path] as const),
      ...distinct(homes.flatMap(spelled)).map((path) => ["~", path] as const),
    ],
    workspaces: [...distinct(workspaces(facts, status, past).flatMap(spelled)), ...scopes(facts)],
    tailnets: [
      ...[status?.tailnet.name, status?.tailnet.magicDnsSuffix, profile?.tailnet.name, profile?.tailnet.magicDnsSuffix],
      ...(trust?.tailnets ?? []).flatMap((one) => [one.name, one.magicDnsSuffix]),
    ].filter(isText),
    // `svc:…` and `tag:…` are the profile's words, and no node's name.
    nodes: [...named, ...turnedDown].filter(isText).filter((node) => !/[:/\s]/.test(node)),
  };
}

function workspaces(facts: Facts, status: StatusReport | undefined, past: readonly HistoryEntry[]): readonly string[] {
  const { cwd } = facts;
  return [
    ...(cwd.ok ? [cwd.value, findWorkspace(cwd.value, facts.env["PWD"]).root] : []),
    ...(known(facts.config)?.guard.workspaces ?? []),
    ...(known(facts.config)?.repositories ?? []).map((one) => one.path).filter(isText),
    ...(known(facts.trust)?.files ?? []).map((one) => dirname(one.path)),
    ...(status?.running ?? []).map((one) => one.directory).filter(isText),
    ...(status?.recent ?? []).map((one) => one.workspace),
    ...past.map((one) => one.workspace),
  ].filter((path) => path.startsWith("/"));
}

/** What forges call the repositories that have profiles of their own: as telling as a directory of work. */
function scopes({ config }: Facts): readonly string[] {
  return (known(config)?.repositories ?? []).flatMap((one) => [one.forgeScope, one.operatorOverlay]).filter(isText);
}

/** A directory as it is called, and as it is with its links resolved. */
function spelled(path: string): readonly string[] {
  try {
    return distinct([path, realpathSync(path)]);
  } catch {
    return [path];
  }
}

/** A uid without an entry in passwd has none. */
function readUser(): { readonly username: string; readonly homedir: string } | undefined {
  try {
    return userInfo();
  } catch {
    return undefined;
  }
}

function distinct(texts: readonly string[]): readonly string[] {
  return [...new Set(texts)];
}

function isText(text: string | null | undefined): text is string {
  return text !== undefined && text !== null && text !== "";
}
