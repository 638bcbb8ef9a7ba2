/** Takes the terminal, draws until somebody quits, and gives it back as it was, however it ends. */
import { once } from "node:events";
import { setTimeout as delay } from "node:timers/promises";
import { render } from "ink";
import { FlywheelError, messageOf } from "../../contract/errors.ts";
import { Exit } from "../../contract/exit.ts";
import type { Where } from "./actions.ts";
import { App } from "./app.tsx";
import { Feed } from "./feed.ts";

/** Below what anybody notices: a busy daemon redraws no oftener. */
const maxFps = 10;

/**
 * Ends the process once somebody quits.
 * @throws FlywheelError `internal` where drawing failed, once the terminal is given back
 */
export async function runTop(where: Where): Promise<never> {
  const end = new AbortController();
  const feed = new Feed(where.paths, where.profile);
  const spoken = where.env["INK_SCREEN_READER"] === "true";
  const instance = render(<App feed={feed} where={where} colours={where.env["NO_COLOR"] ? "none" : "shown"} suspend={suspend} />, {
    // Bare `flywheel` opens this only on a terminal, and `flywheel top` refuses anything else.
    interactive: true,
    alternateScreen: !spoken,
    incrementalRendering: true,
    maxFps,
    exitOnCtrlC: false,
    isScreenReaderEnabled: spoken,
  });
  // A terminal that went away: nobody is left to tell.
  const leave = (): never => process.exit(Exit.failed);
  process.stdout.on("error", leave);
  process.stdin.on("end", leave).on("error", leave);
  void feed.run(where.env, end.signal);
  try {
    await instance.waitUntilExit();
  } catch (error) {
    throw new FlywheelError("internal", `the screen could not be drawn: ${messageOf(error)}`, {
      next: "flywheel status shows the same as text; repeat this with --debug and report what it prints",
      cause: error,
    });
  } finally {
    end.abort();
    process.stdin.off("end", leave).off("error", leave);
  }
  // What was still asked of the daemon would keep the process until it is answered, and nobody waits for that any more.
  process.exit(Exit.ok);
}

/** Stops this process's whole group, as the terminal would on Ctrl-Z if it were not read raw. */
async function suspend(): Promise<void> {
  const continued = once(process, "SIGCONT");
  process.kill(0, "SIGTSTP");
  // A group that nobody would continue cannot be stopped: then it goes on at once.
  await Promise.race([continued, delay(200)]);
}
