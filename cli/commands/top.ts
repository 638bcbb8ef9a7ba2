import { FlywheelError } from "../../contract/errors.ts";
import { Exit } from "../../contract/exit.ts";
import { defineCommand } from "../command.ts";

export default defineCommand({
  name: "top",
  summary: "watch it all on a screen that stays open",
  details:
    "What is attached, the candidates, the builds and what went past the guard, as they change. ? lists the keys. Starts the daemon where none runs, not where CI is set. With INK_SCREEN_READER=true it is read out: plain sentences, each when it changes. `flywheel` alone, on a terminal, is the same.",
  options: {},
  examples: [
    { line: "flywheel top", does: "leave it open beside your editor" },
    { line: "INK_SCREEN_READER=true flywheel top", does: "for a screen reader" },
  ],
  exits: [{ code: Exit.failed, means: "the screen could not be drawn, or the terminal went away" }],
  async run({ env, paths, profile, output }) {
    if (!output.screen) {
      throw new FlywheelError("usage", "this needs a terminal, for what it shows and for the keys", {
        next: "flywheel status, or flywheel status --json",
      });
    }
    // Ink and React are loaded by nothing else.
    const { runTop } = await import("../tui/run.tsx");
    return await runTop({ env, paths, profile });
  },
});
