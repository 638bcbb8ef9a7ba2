import { type CredentialEntry, endpointOf } from "../../contract/credential.ts";
import { parseEndpoint, sameEndpoint, type Tool } from "../../contract/endpoint.ts";
import { FlywheelError } from "../../contract/errors.ts";
import { Exit } from "../../contract/exit.ts";
import { readCredentials } from "../../daemon/api/client/credentials/index-file.ts";
import { defineCommand } from "../command.ts";
import { endpointFrom } from "../endpoint.ts";
import { forget, removeGenerations } from "../login/keep.ts";
import { entryReport } from "../login/words.ts";
import { choiceWords } from "../profile.ts";
import { tellDaemon } from "../tell.ts";

export default defineCommand({
  name: "logout",
  summary: "forget the credential of a cache, and remove its secret",
  details:
    "Removes it from what is kept, its secret from the keyring or its file, and what tools were given to read. A certificate's files are yours and stay. Where a keyring cannot be asked, the login is forgotten all the same, and you are told what is left where.",
  arguments: [{ name: "[endpoint]", summary: "the URL that `flywheel login` shows", completes: "endpoint" }],
  options: {
    kind: { flag: "--kind <kind>", summary: "bazel or nix (either)", choices: ["bazel", "nix"] },
    all: { flag: "--all", summary: "every one of this profile" },
  },
  examples: [
    { line: "flywheel logout grpcs://cache.example.org", does: "forget one" },
    { line: "flywheel logout --all --profile lab", does: "forget all of a profile" },
  ],
  exits: [{ code: Exit.failed, means: "nothing is kept for it, or a secret could not be removed" }],
  async run(context, { kind, all }, [text]) {
    const { output, paths, profile } = context;
    if (all === (text !== undefined) || (all && kind !== undefined)) {
      throw new FlywheelError("usage", "name an endpoint, or give --all", { next: "flywheel login   (lists them)" });
    }
    const choice = choiceWords(context.profileChoice);
    if (choice !== undefined) output.notice(choice);
    const own = readCredentials(paths).entries.filter((entry) => entry.profile === profile);
    const gone = text === undefined ? own : named(own, text, kind);
    if (gone.length === 0) {
      const what = text === undefined ? "" : " for it";
      throw new FlywheelError("credentials-unusable", `nothing is kept${what} in profile ${profile}`, {
        next: "flywheel login   (lists what is)",
      });
    }
    const secrets = await forget(paths, gone);
    const told = await tellDaemon(context);
    // Only now: a daemon that knew of it could have made another.
    const left = [...secrets, ...removeGenerations(paths, gone)];
    for (const words of [...left, ...told]) output.notice(words);
    if (output.format === "json") output.json({ schema: 1, forgotten: gone.map(entryReport), left });
    else for (const { endpoint, kind: tool } of gone) output.line(`logged out of ${endpoint} (${tool})`);
    return left.length === 0 ? Exit.ok : Exit.failed;
  },
});

function named(entries: readonly CredentialEntry[], text: string, kind: Tool | undefined): readonly CredentialEntry[] {
  // What is an endpoint of Nix is one of Bazel too.
  endpointFrom(text, kind ?? "bazel", "logout");
  return entries.filter((entry) => {
    const own = endpointOf(entry);
    const meant = parseEndpoint(text, entry.kind);
    return own !== undefined && meant.ok && sameEndpoint(own, meant.endpoint) && (kind ?? entry.kind) === entry.kind;
  });
}
