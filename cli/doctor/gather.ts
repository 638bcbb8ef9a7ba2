/** `flywheel doctor --gather`: what a bug report needs, with what says who and where taken out, listed before it is written. */
import { readdirSync } from "node:fs";
import { arch, release, version as systemVersion, type } from "node:os";
import { isAbsolute, resolve } from "node:path";
import type { StatusReport } from "../../contract/api.ts";
import { messageOf } from "../../contract/errors.ts";
import { attachmentPath, logPath } from "../../contract/paths.ts";
import { profileName } from "../../contract/published.ts";
import { type Redacted, type RedactedKind, type Redactions, Redactor, redactedKinds } from "../../contract/redact.ts";
import { version } from "../../contract/version.ts";
import { table } from "../../contract/words.ts";
import { type HistoryEntry, readHistory } from "../../daemon/api/client/journal/history.ts";
import { readSmall } from "../bazelrc.ts";
import type { Context } from "../context.ts";
import { lastLines } from "../log/file.ts";
import { entryReport } from "../login/words.ts";
import { confirmed } from "../output/ask.ts";
import { requirePlace, writeArchive } from "./archive.ts";
import { type Facts, known } from "./facts.ts";
import { knownOf } from "./redact.ts";
import type { DoctorReport } from "./report.ts";

/** So much of the log's and the journal's end goes in: lines, and characters a line. */
const most = { log: 2000, line: 8192, journal: 200, profiles: 32 } as const;

/** The archive's one directory, and how its name begins. */
const name = "flywheel-doctor";

type Content =
  | { readonly form: "text"; readonly text: string }
  | { readonly form: "json"; readonly value: unknown }
  | { readonly form: "json-lines"; readonly lines: readonly string[] };

interface Gathered {
  readonly name: string;
  readonly text: string;
  readonly redactions: Redactions;
}

/**
 * Lists, asks, and writes.
 * @returns whether it was written
 * @throws FlywheelError `usage` where nobody can be asked and `--yes` was not given, or the file cannot be made
 */
export async function gather(
  context: Context,
  found: { readonly facts: Facts; readonly report: DoctorReport },
  given: { readonly file: string | undefined; readonly yes: boolean },
): Promise<boolean> {
  const { output } = context;
  const file = place(context, given.file);
  const past = await history(found.facts);
  const files = redacted(await collect(found, past), found.facts, past);
  if (output.format === "human") {
    output.notice("This would go into the archive, and nothing else:");
    output.notice(table([["file", "size", "taken out"], ...files.map((one) => [one.name, size(one.text), takenOut(one.redactions)])]));
    output.notice("Nothing is sent anywhere. Look through it before you pass it on: what was written in your own words may say more.");
  }
  const agreed = await confirmed(output, `Write ${file}?`, { yes: given.yes });
  if (agreed) await writeArchive(file, name, files);
  if (output.format === "json") {
    const listed = files.map((one) => ({ name: one.name, bytes: Buffer.byteLength(one.text), redactions: one.redactions }));
    output.json({ schema: 1, file, files: listed });
  } else if (agreed) output.line(`wrote ${file}; nothing was sent anywhere`);
  else output.notice("nothing was written");
  return agreed;
}

/** Nothing that stands there is written over, and nobody is asked in vain. */
function place(context: Context, asked: string | undefined): string {
  const stamp = new Date()
    .toISOString()
    .replaceAll(/[-:]|\..*$/g, "")
    .replace("T", "-");
  const wanted = asked ?? `${name}-${stamp}.tar.gz`;
  const file = isAbsolute(wanted) ? wanted : resolve(context.cwd, wanted);
  requirePlace(file);
  return file;
}

async function collect(
  { facts, report }: { readonly facts: Facts; readonly report: DoctorReport },
  past: Past,
): Promise<readonly { readonly name: string; readonly content: Content }[]> {
  const { paths } = facts;
  const text = (path: string): Content | undefined => {
    const found = readSmall(path);
    return found === undefined ? undefined : { form: "text", text: found };
  };
  const profiles = listed(`${paths.config}/profiles`).filter((file) => file.endsWith(".toml"));
  const published = listed(`${paths.runtime}/attachment`).filter((each) => profileName.test(each));
  const status = known(facts.status);
  const files: (readonly [string, Content | undefined])[] = [
    ["about.json", { form: "json", value: about(status) }],
    ["doctor.json", { form: "json", value: report }],
    ["status.json", status === undefined ? undefined : { form: "json", value: status }],
    ["daemon.log", log(facts)],
    ["journal.jsonl", journal(past)],
    ["credentials.json", credentials(facts)],
    ["config.toml", text(`${paths.config}/config.toml`)],
    ...profiles.map((file) => [`profiles/${file}`, text(`${paths.config}/profiles/${file}`)] as const),
    ...published.flatMap((profile) =>
      (["bazel", "nix"] as const).map((kind) => [`attachment/${profile}/${kind}`, text(attachmentPath(paths, profile, kind))] as const),
    ),
  ];
  return files.flatMap(([name, content]) => (content === undefined ? [] : [{ name, content }]));
}

/** What is kept, as `flywheel login --json` lists it, and without the names of users; of the secrets' own files nothing is read. */
function credentials({ credentials: index }: Facts): Content | undefined {
  if (!index.ok) return { form: "text", text: `${index.error.message}\n` };
  if (index.value.entries.length === 0) return undefined;
  const entries = index.value.entries.map((entry) => ({ ...entryReport(entry), user: undefined }));
  return { form: "json", value: { store: index.value.store, entries } };
}

/** The versions and `uname` without the machine's name. */
function about(status: StatusReport | undefined): object {
  return {
    flywheel: version,
    daemon: status?.daemon?.version ?? null,
    node: process.versions.node,
    system: { type: type(), release: release(), version: systemVersion(), machine: arch(), platform: process.platform },
    at: new Date().toISOString(),
  };
}

function log({ paths }: Facts): Content | undefined {
  try {
    const lines = lastLines(logPath(paths), most.log);
    return lines === undefined ? undefined : { form: "json-lines", lines: lines.map((line) => line.slice(0, most.line)) };
  } catch (error) {
    return { form: "text", text: `${messageOf(error)}\n` };
  }
}

/** What ran, was refused and went past the guard, the newest first; or why it could not be read. */
type Past = readonly HistoryEntry[] | string;

async function history({ paths }: Facts): Promise<Past> {
  try {
    const { entries } = await readHistory(paths, { kinds: ["escape", "refusal", "invocation"], most: most.journal }, new Date());
    return entries;
  } catch (error) {
    return messageOf(error);
  }
}

function journal(past: Past): Content | undefined {
  if (typeof past === "string") return { form: "text", text: `${past}\n` };
  return past.length === 0 ? undefined : { form: "json-lines", lines: past.toReversed().map((entry) => JSON.stringify(entry)) };
}

function redacted(files: readonly { readonly name: string; readonly content: Content }[], facts: Facts, past: Past): readonly Gathered[] {
  const redactor = new Redactor(knownOf(facts, typeof past === "string" ? [] : past));
  for (const { content } of files) redactor.learn(textOf(content));
  return files.map(({ name, content }) => {
    const clean = cleaned(redactor, content);
    // A profile's name may be an organisation's: its file's name is redacted too.
    return { name: redactor.redact(name).text, text: clean.text, redactions: clean.redactions };
  });
}

function textOf(content: Content): string {
  switch (content.form) {
    case "text":
      return content.text;
    case "json":
      return JSON.stringify(content.value);
    case "json-lines":
      return content.lines.join("\n");
  }
}

function cleaned(redactor: Redactor, content: Content): Redacted {
  switch (content.form) {
    case "text":
      return redactor.redact(content.text);
    case "json":
      return redactor.redactJson(content.value, 2);
    case "json-lines":
      return redactor.redactJsonLines(content.lines);
  }
}

function listed(directory: string): readonly string[] {
  try {
    return readdirSync(directory).toSorted().slice(0, most.profiles);
  } catch {
    return [];
  }
}

function size(text: string): string {
  const bytes = Buffer.byteLength(text);
  return bytes < 1024 ? `${bytes} B` : `${(bytes / 1024).toFixed(1)} KiB`;
}

const singular: Readonly<Record<RedactedKind, string>> = {
  names: "name",
  addresses: "address",
  tokens: "token",
  users: "user",
  paths: "path",
};

function takenOut(redactions: Redactions): string {
  const parts = redactedKinds
    .filter((kind) => redactions[kind] > 0)
    .map((kind) => `${redactions[kind]} ${redactions[kind] === 1 ? singular[kind] : kind}`);
  return parts.length === 0 ? "nothing" : parts.join(", ");
}
