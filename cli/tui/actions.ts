/** What the keys can have done: each asks the daemon and says in one line what became of it. */

import type { StatusReport } from "../../contract/api.ts";
import { type Environment, hasLocalProof } from "../../contract/environment.ts";
import { FlywheelError, messageOf } from "../../contract/errors.ts";
import type { Paths } from "../../contract/paths.ts";
import { printable } from "../../contract/text.ts";
import { latency } from "../../contract/words.ts";
import { DaemonClient } from "../../daemon/api/client/connection.ts";
import { runningDaemon } from "../daemon.ts";
import type { DaemonAct } from "./ui.ts";

export interface Notice {
  readonly text: string;
  readonly tone: "good" | "bad" | "strong";
}

export interface Where {
  readonly paths: Paths;
  readonly profile: string;
  readonly env: Environment;
}

/** While it lasts. */
export function doing(act: DaemonAct): string {
  switch (act.act) {
    case "verify":
      return "proving the attachment";
    case "detach":
      return "detaching";
    case "up":
      return "starting, and looking for a cache";
    case "attach":
      return `proving ${printable(act.endpoint)}`;
  }
}

/** Never throws: what went wrong is the notice. */
export async function perform(act: DaemonAct, where: Where): Promise<Notice> {
  try {
    return await outcome(act, where);
  } catch (error) {
    const next = error instanceof FlywheelError && error.next !== undefined ? `; next: ${error.next}` : "";
    return { text: printable(`${messageOf(error)}${next}`, 400), tone: "bad" };
  }
}

async function outcome(act: DaemonAct, { paths, profile, env }: Where): Promise<Notice> {
  switch (act.act) {
    case "verify":
      return verified(await new DaemonClient(paths).verify(profile));
    case "detach":
      await new DaemonClient(paths).detach(profile);
      return { text: "detached; u looks for a cache again", tone: "strong" };
    case "up": {
      const daemon = await runningDaemon(paths);
      // One that ran already knows the configuration as it was when it started.
      await daemon.reload();
      return verified(await daemon.up(profile));
    }
    case "attach": {
      const daemon = await runningDaemon(paths);
      const result = await daemon.attach({ profile, kind: act.kind, endpoint: act.endpoint, localProof: hasLocalProof(env) });
      if (result.ok) return { text: `${printable(result.endpoint)} proved itself in ${latency(result.latencyMs)}`, tone: "good" };
      const next = result.next === null ? "" : `; next: ${printable(result.next)}`;
      // Without the endpoint, which the reason names and the user has just typed: there is one line for all of it.
      return { text: `kept, but not attached: ${result.rung}: ${printable(result.reason)}${next}`, tone: "bad" };
    }
  }
}

function verified({ bazel }: StatusReport): Notice {
  if (bazel.state === "attached") {
    const how = bazel.latencyMs === null ? "" : ` in ${latency(bazel.latencyMs)}`;
    return { text: `Bazel: ${printable(bazel.endpoint ?? "")} proved itself${how}`, tone: "good" };
  }
  return { text: `Bazel is not attached: ${printable(bazel.reason ?? "no reason is known")}`, tone: "bad" };
}
