import { FlywheelError } from "../../contract/errors.ts";
import { Exit } from "../../contract/exit.ts";
import { defineCommand } from "../command.ts";

const kinds = ["bazel", "nix", "both"] as const;
type Kind = (typeof kinds)[number];

export default defineCommand({
  name: "proof",
  summary: "prove that the shared caches answer this machine, and write the record",
  details:
    "The model proof that CI makes: the attachment contract, strict; a first build of the targets where the profile lets this machine fill the cache; then a rebuild into an empty output base of its own, with uploads and every disk cache off, whose hits Bazel's build events count. Of Nix: a store path fetched from the attached cache into an empty store of its own, signed by the attached key, without a token. Nothing of yours is changed. What it cannot show it calls not proved. Words for `bazel build` go behind `--`, options as --name=value.",
  arguments: [{ name: "[targets...]", summary: "Bazel's targets", mixed: true }],
  options: {
    kind: { flag: "--kind <kind>", summary: `${kinds.join(", ")} (what targets and --nix ask for)`, choices: kinds },
    nix: { flag: "--nix <path>", summary: "the store path or installable to fetch (one that this machine uses)" },
    ci: {
      flag: "--ci <file>",
      summary: "a record of CI to compare with: another cache, mode, policy or effect is not proved",
      completes: "file",
    },
    output: { flag: "-o, --output <file>", summary: "also write the record there, as JSON", completes: "file" },
    markdown: { flag: "--markdown <file>", summary: "also write a page about it there", completes: "file" },
    showEndpoints: { flag: "--show-endpoints", summary: "name endpoints and nodes in the record (never in GitHub Actions)" },
  },
  examples: [
    { line: "flywheel proof //...", does: "does the Bazel cache answer, from nothing?" },
    { line: "flywheel proof //app -- --config=ci", does: "with the options that CI builds with" },
    { line: "flywheel proof --kind nix", does: "does the Nix cache, for anybody?" },
    { line: "flywheel proof //... --nix .#app --ci ci.json -o here.json", does: "both, beside CI's record" },
  ],
  exits: [{ code: Exit.failed, means: "not proved; the reasons are said" }],
  async run(context, options, words) {
    const { output, cwd } = context;
    const { prove } = await import("../proof/proof.ts");
    const { readRecord, refuseUnwritable, writeRecord } = await import("../proof/files.ts");
    const kind = kindOf(options.kind, words, options.nix);
    const recordFile = options.output === undefined ? undefined : refuseUnwritable("--output", options.output, cwd);
    const pageFile = options.markdown === undefined ? undefined : refuseUnwritable("--markdown", options.markdown, cwd);
    const { record, interrupted } = await prove(
      {
        bazel: kind === "nix" ? undefined : { words },
        nix: kind === "bazel" ? undefined : { named: options.nix },
        ci: options.ci === undefined ? undefined : readRecord("--ci", options.ci, cwd),
        endpoints: options.showEndpoints ? "shown" : "redacted",
      },
      context,
    );
    if (interrupted !== undefined) {
      output.notice("flywheel: interrupted: nothing is proved, and nothing is left behind");
      return interrupted;
    }
    if (recordFile !== undefined) writeRecord(recordFile, `${JSON.stringify(record, undefined, 2)}\n`);
    if (pageFile !== undefined) writeRecord(pageFile, (await import("../../contract/proof/markdown.ts")).proofMarkdown(record));
    if (output.format === "json") output.json(record);
    else output.text((await import("../proof/view.ts")).viewProof(record, output.paint));
    return record.proved ? Exit.ok : Exit.failed;
  },
});

/** @throws FlywheelError `usage` where nothing was named, or not what was asked for */
function kindOf(asked: Kind | undefined, words: readonly string[], nix: string | undefined): Kind {
  const hasTargets = words.some((word) => !word.startsWith("-"));
  const kind = asked === undefined ? (hasTargets ? (nix === undefined ? "bazel" : "both") : "nix") : asked;
  if (kind !== "nix" && !hasTargets)
    throw new FlywheelError("usage", "no target is named, and Bazel proves nothing without one", { next: "flywheel proof //..." });
  if (kind === "nix" && asked === undefined && nix === undefined) {
    throw new FlywheelError("usage", "nothing is named to prove it by", {
      next: "flywheel proof //...   (Bazel), or: flywheel proof --kind nix",
    });
  }
  if (kind === "nix" && words.length > 0)
    throw new FlywheelError("usage", "targets are Bazel's", { next: "flywheel proof //... --kind both" });
  if (kind === "bazel" && nix !== undefined)
    throw new FlywheelError("usage", "--nix is not Bazel's", { next: "flywheel proof //... --kind both" });
  return kind;
}
