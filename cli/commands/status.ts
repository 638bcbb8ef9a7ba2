import { Exit } from "../../contract/exit.ts";
import { localTime } from "../../contract/words.ts";
import { defineCommand } from "../command.ts";
import type { Context } from "../context.ts";
import type { Output } from "../output/output.ts";
import type { Paint } from "../output/paint.ts";
import { waitingFor } from "../output/progress.ts";
import { choiceWords } from "../profile.ts";
import { type ConfigurationFault, configurationFault } from "../status/configuration.ts";
import { readStatus } from "../status/report.ts";
import { exitOf, viewStatus } from "../status/view.ts";
import type { Sight } from "../status/watch.ts";

export default defineCommand({
  name: "status",
  summary: "say what is attached, since when it is proved, and why not",
  details: "Starts nothing: without a daemon it tells what the published files still say.",
  options: { watch: { flag: "-w, --watch", summary: "go on as it changes, until interrupted; with --json one object a line" } },
  examples: [
    { line: "flywheel status", does: "for a person" },
    { line: "flywheel status --json", does: "for a program; `schema` tells the version" },
    { line: "flywheel status --watch", does: "drawn in place on a terminal; elsewhere each change as it comes, with its time" },
  ],
  exits: [
    { code: Exit.failed, means: "it cannot be told: the runtime directory is not safe to read, or what answers there is no daemon" },
    { code: Exit.notAttached, means: "Bazel is not attached; with --watch: 0 when it is interrupted" },
  ],
  async run(context, { watch }) {
    if (watch) return watching(context);
    const { paths, profile, profileChoice, output } = context;
    const report = await waitingFor(output, "asking the daemon", () => readStatus(paths, profile, "recorded"));
    const configuration = await configurationFault(paths, profile);
    if (output.format === "json") output.json({ ...report, configuration, profileChoice });
    else {
      output.text(viewStatus(report, output.paint));
      const words = choiceWords(profileChoice);
      if (words !== undefined) output.text(`  ${words}`);
      if (configuration !== null) output.text(viewFault(configuration, output.paint));
    }
    return exitOf(report);
  },
});

function viewFault({ fault, next }: ConfigurationFault, paint: Paint): string {
  const lines = [`  config   ${paint.red("heavy commands are refused until it is mended")}`, `           ${fault}`];
  return [...lines, ...(next === null ? [] : [`    next   ${next}`])].join("\n");
}

/** How often ages are counted on, where they are drawn: milliseconds. */
const second = 1000;

async function watching({ paths, profile, output }: Context): Promise<number> {
  const { watchStatus, substanceOf, aged } = await import("../status/watch.ts");
  const stop = new AbortController();
  process.once("SIGINT", () => stop.abort());
  const screen = output.redrawable ? new (await import("../output/redraw.ts")).Redraw(output) : undefined;
  let last: { readonly sight: Sight; readonly configuration: ConfigurationFault | null } | undefined;
  let substance = "";
  const draw = (): void => {
    if (last === undefined) return;
    const report = aged(last.sight.report, performance.now() - last.sight.at);
    screen?.draw(frame(output, { ...last.sight, report }, last.configuration));
  };
  const resized = (): void => {
    screen?.clear();
    draw();
  };
  const ticking = screen === undefined ? undefined : setInterval(draw, second);
  if (screen !== undefined) process.stdout.on("resize", resized);
  try {
    for await (const sight of watchStatus(paths, profile, stop.signal)) {
      last = { sight, configuration: await configurationFault(paths, profile) };
      if (screen !== undefined) {
        draw();
        continue;
      }
      const now = `${substanceOf(sight)}${JSON.stringify(last.configuration)}`;
      // To a pipe go changes, and as JSON each proof too.
      if (now === substance && (output.format === "human" || sight.absence !== undefined)) continue;
      if (output.format === "json") output.raw(`${JSON.stringify({ ...sight.report, configuration: last.configuration })}\n`);
      else
        output.line(
          `${substance === "" ? "" : "\n"}── ${localTime(new Date().toISOString())} ──\n${frame(output, sight, last.configuration)}`,
        );
      substance = now;
    }
  } finally {
    clearInterval(ticking);
    process.stdout.off("resize", resized);
  }
  return Exit.ok;
}

function frame(output: Output, { report, absence }: Sight, configuration: ConfigurationFault | null): string {
  const waits = absence === undefined ? [] : [output.paint.yellow(`  ${absence.words}; this waits for one: ${absence.next}`)];
  const fault = configuration === null ? [] : [viewFault(configuration, output.paint)];
  return output.fitted([viewStatus(report, output.paint), ...fault, ...waits].join("\n"));
}
