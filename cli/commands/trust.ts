import { createHash } from "node:crypto";
import { realpathSync } from "node:fs";
import { resolve } from "node:path";
import { envFileName, largestEnvFile, parseEnvFile } from "../../contract/env-file.ts";
import { FlywheelError, messageOf } from "../../contract/errors.ts";
import { Exit } from "../../contract/exit.ts";
import { nixPublicKey } from "../../contract/nix/key.ts";
import { printable } from "../../contract/text.ts";
import type { TrustStore } from "../../contract/trust.ts";
import { localTime, table } from "../../contract/words.ts";
import { readBounded } from "../../daemon/api/client/bounded.ts";
import { changeTrust, readTrust } from "../../daemon/api/client/trust.ts";
import { defineCommand } from "../command.ts";
import type { Context } from "../context.ts";
import { runningDaemon } from "../daemon.ts";
import { confirmed } from "../output/ask.ts";
import { waitingFor } from "../output/progress.ts";
import { tellDaemon } from "../tell.ts";

export default defineCommand({
  name: "trust",
  summary: "say which tailnet, file or Nix key may be believed",
  details:
    "A build cache can put code on this machine, so trust comes from you and never from who happens to answer. `tailnet` trusts the one this machine is on now, for this profile; `file` a repository's " +
    `${envFileName}, while its content stays as it is; \`key\` a Nix public key, <name>:<base64>, for this profile.`,
  arguments: [
    { name: "[what]", summary: "what to trust", choices: ["tailnet", "file", "key"] },
    { name: "[subject]", summary: "the file, or the key", completes: "file" },
  ],
  options: {
    yes: { flag: "--yes", summary: "do not ask" },
    list: { flag: "--list", summary: "print what is trusted" },
    revoke: { flag: "--revoke", summary: "trust it no more" },
  },
  examples: [
    { line: "flywheel trust tailnet", does: "show this machine's tailnet, ask, and trust it" },
    { line: `flywheel trust file ${envFileName}`, does: "let this file name endpoints for its workspace" },
    { line: "flywheel trust key main:eaUy…XA= --yes", does: "pin a Nix key" },
    { line: "flywheel trust --list", does: "what is trusted, since when" },
    { line: "flywheel trust tailnet --revoke", does: "no tailnet for this profile" },
  ],
  exits: [{ code: Exit.failed, means: "not trusted: no was said, or there is nothing to trust" }],
  async run(context, { yes, list, revoke }, [what, subject]) {
    if (list || what === undefined) {
      if (what !== undefined || revoke) throw new FlywheelError("usage", "--list stands alone", { next: "flywheel trust --list" });
      showAll(context, readTrust(context.paths));
      return Exit.ok;
    }
    if (what === "tailnet" && subject !== undefined) {
      throw new FlywheelError("usage", "a tailnet is not named: the one this machine is on is shown", { next: "flywheel trust tailnet" });
    }
    const change = revoke ? withdrawal(context, what, subject) : await grant(context, what, subject);
    for (const line of change.shown) context.output.notice(line);
    const before = readTrust(context.paths);
    if (sameTrust(change.apply(before), before)) {
      if (context.output.format === "json") context.output.json({ schema: 1, ...before });
      else context.output.line(revoke ? "that was not trusted" : "trusted already");
      return Exit.ok;
    }
    if (!(await confirmed(context.output, revoke ? "Trust this no more?" : "Trust this?", { yes }))) {
      context.output.notice("nothing was changed");
      return Exit.failed;
    }
    const store = await changeTrust(context.paths, change.apply);
    const untold = await tellDaemon(context);
    if (context.output.format === "json") context.output.json({ schema: 1, ...store });
    else context.output.line(revoke ? "trusted no more" : "trusted");
    for (const line of untold) context.output.notice(line);
    return Exit.ok;
  },
});

/** Whether two say the same, since whenever. */
function sameTrust(a: TrustStore, b: TrustStore): boolean {
  const words = ({ tailnets, files, keys }: TrustStore): string =>
    JSON.stringify([tailnets, files, keys].map((entries) => entries.map((entry) => JSON.stringify({ ...entry, at: "" })).toSorted()));
  return words(a) === words(b);
}

interface Change {
  /** What is about to be trusted, for the person who is asked. */
  readonly shown: readonly string[];
  readonly apply: (trust: TrustStore) => TrustStore;
}

async function grant(context: Context, what: string, subject: string | undefined): Promise<Change> {
  const at = new Date().toISOString();
  switch (what) {
    case "tailnet":
      return tailnetGrant(context, at);
    case "file":
      return fileGrant(context, subject, at);
    default: {
      const key = nixKey(subject);
      const entry = { profile: context.profile, key, at };
      return {
        shown: [`key      ${key}`, `profile  ${context.profile}`],
        apply: (trust) => ({ ...trust, keys: [...trust.keys.filter((one) => !(one.profile === entry.profile && one.key === key)), entry] }),
      };
    }
  }
}

async function tailnetGrant({ paths, profile, output }: Context, at: string): Promise<Change> {
  const { tailnet } = await waitingFor(output, "asking which tailnet this is", async () => (await runningDaemon(paths)).status(profile));
  if (tailnet.name === null || tailnet.magicDnsSuffix === null) {
    throw new FlywheelError("tailnet-unreachable", `there is no tailnet to trust: ${tailnet.reason ?? "its name is not known"}`, {
      next: tailnet.next ?? "flywheel status",
    });
  }
  const entry = { profile, name: tailnet.name, magicDnsSuffix: tailnet.magicDnsSuffix, at };
  return {
    shown: [
      `tailnet  ${printable(entry.name)}`,
      `suffix   ${printable(entry.magicDnsSuffix)}`,
      `profile  ${profile}`,
      `read     from ${printable(tailnet.via ?? "nowhere")}${tailnet.systemSocket ? "" : ", which is not the system's own socket"}`,
      "Its nodes and Services that carry the profile's tags may then serve this machine build results.",
    ],
    apply: (trust) => ({ ...trust, tailnets: [...trust.tailnets.filter((one) => one.profile !== profile), entry] }),
  };
}

function fileGrant({ cwd }: Context, subject: string | undefined, at: string): Change {
  const { path, content } = readSubject(cwd, subject);
  const parsed = parseEnvFile(content.toString("utf8"));
  if (!parsed.ok) {
    const faults = parsed.faults.map((fault) => `${path}:${fault.line}: ${fault.message}`);
    throw new FlywheelError("env-file-invalid", faults.join("; "), {
      next: "a file takes lines of `export KEY=VALUE` and nothing that has to be run",
    });
  }
  const sha256 = createHash("sha256").update(content).digest("hex");
  return {
    shown: [
      `file     ${printable(path, 4096)}`,
      `sha256   ${sha256}`,
      ...Object.entries(parsed.values).map(([name, value]) => `  ${name}=${printable(value)}`),
      ...parsed.ignored.map(({ line, name }) => `  (line ${line} is ignored: ${printable(name, 64)} is not for this file to set)`),
    ],
    apply: (trust) => ({ ...trust, files: [...trust.files.filter((one) => one.path !== path), { path, sha256, at }] }),
  };
}

function withdrawal({ cwd, profile }: Context, what: string, subject: string | undefined): Change {
  switch (what) {
    case "tailnet":
      return {
        shown: [`every tailnet of profile ${profile}`],
        apply: (trust) => ({ ...trust, tailnets: trust.tailnets.filter((one) => one.profile !== profile) }),
      };
    case "file": {
      const path = resolve(cwd, subject ?? envFileName);
      const real = realpathOr(path);
      return {
        shown: [`file     ${printable(path, 4096)}`],
        apply: (trust) => ({ ...trust, files: trust.files.filter((one) => one.path !== path && one.path !== real) }),
      };
    }
    default: {
      // Whatever it looks like: what was trusted once can be withdrawn.
      const key = subject ?? nixKey(subject);
      return {
        shown: [`key      ${printable(key)}`, `profile  ${profile}`],
        apply: (trust) => ({ ...trust, keys: trust.keys.filter((one) => !(one.profile === profile && one.key === key)) }),
      };
    }
  }
}

function readSubject(cwd: string, subject: string | undefined): { path: string; content: Buffer } {
  const file = resolve(cwd, subject ?? envFileName);
  try {
    const path = realpathSync(file);
    return { path, content: readBounded(path, largestEnvFile) };
  } catch (error) {
    const absent = (error as NodeJS.ErrnoException).code === "ENOENT";
    throw new FlywheelError(
      "env-file-invalid",
      `${printable(file, 4096)} ${absent ? "is not there" : `cannot be read: ${messageOf(error)}`}`,
      {
        next: `flywheel trust file <path of a ${envFileName}>`,
        cause: error,
      },
    );
  }
}

/** A file that is gone can still be trusted no more. */
function realpathOr(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}

function nixKey(text: string | undefined): string {
  if (text !== undefined && nixPublicKey.test(text)) return text;
  throw new FlywheelError("usage", "expected a Nix public key: <name>:<base64 of 32 bytes>", {
    next: "ask the cache's operator for it; flywheel status names the one that an Attic cache shows",
  });
}

function showAll({ output }: Context, trust: TrustStore): void {
  if (output.format === "json") {
    output.json({ schema: 1, ...trust });
    return;
  }
  const rows = [
    ...trust.tailnets.map((one) => [
      "tailnet",
      one.profile,
      `${printable(one.name)} (${printable(one.magicDnsSuffix)})`,
      localTime(one.at),
    ]),
    ...trust.files.map((one) => ["file", "", printable(one.path, 4096), localTime(one.at)]),
    ...trust.keys.map((one) => ["key", one.profile, printable(one.key), localTime(one.at)]),
  ];
  output.line(
    rows.length === 0 ? "nothing is trusted but what the profile names" : table([["what", "profile", "subject", "since"], ...rows]),
  );
}
