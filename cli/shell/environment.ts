/** The environment of `flywheel shell`, and of the command that it runs. */
import type { StatusReport } from "../../contract/api.ts";
import type { Context } from "../context.ts";
import { environmentOf } from "../tool.ts";
import { devshell } from "./devshell.ts";
import { guardedPath } from "./path.ts";

export interface Entered {
  readonly environment: Record<string, string>;
  readonly report: StatusReport;
  /** For standard error. */
  readonly words: string;
}

/** Starts the daemon where none runs (not where CI is set), and waits 2 s at most for an attachment. Never throws for one that does not come. */
export async function enteredEnvironment({ env, paths, profile }: Pick<Context, "env" | "paths" | "profile">): Promise<Entered> {
  const { environment, report, words } = await devshell("enter", { env, paths, profile });
  const gone = new Set(environment.unset);
  const kept = Object.entries(environmentOf(env)).filter(([name]) => !gone.has(name));
  const own = profile === (env["GF_PROFILE"] || "default") ? {} : { GF_PROFILE: profile };
  return {
    environment: {
      ...Object.fromEntries(kept),
      ...environment.set,
      ...own,
      PATH: guardedPath(env),
      GF_GUARD_SCOPE: "all",
    },
    report,
    words: words ?? "",
  };
}
