import { join } from "node:path";
import { Exit } from "../../contract/exit.ts";
import { isProgram } from "../../shim/tool.ts";
import { defineCommand } from "../command.ts";
import { defaultSymbol, placeholders, readSegment, segmentText } from "../prompt/segment.ts";
import { around, colourOf, styles } from "../prompt/style.ts";

export default defineCommand({
  name: "prompt",
  summary: "print a short segment for a shell's prompt, starship or tmux",
  details: `Reads what is published, and nothing else: it asks nobody and starts nothing. The word is attached, executor-backed, local-proof, unattached, unknown (what is published may not be believed) or escape (GF_GUARD_BYPASS is set); Nix is named only where it differs. In the format, ${Object.entries(
    placeholders,
  )
    .map(([letter, means]) => `%${letter} is ${means}`)
    .join(", ")}, and %% a percent sign.`,
  options: {
    format: { flag: "--format <text>", summary: "what to print, with the placeholders above (%i %s %h, and %n where it differs)" },
    symbol: { flag: "--symbol <text>", summary: `what %i stands for (${defaultSymbol})` },
    color: { flag: "--color <shell>", summary: `coloured, as that prompt takes it: ${styles.join(", ")}`, choices: styles },
  },
  examples: [
    { line: "PS1='$(flywheel-prompt --color bash) '$PS1", does: "bash; flywheel-prompt is the same without the way through flywheel" },
    { line: "flywheel prompt --format '%s/%n' --color tmux", does: "for tmux' status line" },
  ],
  async run({ env, paths, profile, output }, { format, symbol = defaultSymbol, color: style }) {
    const segment = readSegment(paths, profile, env);
    const nixHere = (env["PATH"] ?? "").split(":").some((directory) => isProgram(join(directory || ".", "nix")));
    const text = segmentText(segment, { format, symbol, style }, nixHere);
    const [before, after] = style === undefined || env["NO_COLOR"] ? ["", ""] : around(style, colourOf[segment.bazel]);
    if (output.format === "json") output.json({ schema: 1, ...segment, text });
    else output.line(`${before}${text}${after}`);
    return Exit.ok;
  },
});
