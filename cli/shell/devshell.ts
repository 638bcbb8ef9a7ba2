/** The environment of a shell that was entered with the companion (nix/shell-hook.sh), and the line that says where it stands. */
import type { StatusReport } from "../../contract/api.ts";
import type { Environment } from "../../contract/environment.ts";
import { FlywheelError, messageOf } from "../../contract/errors.ts";
import { bazelVariables, exportedVariable, type ParityEnvironment, parityEnvironment } from "../../contract/parity-environment.ts";
import type { Paths } from "../../contract/paths.ts";
import { printable } from "../../contract/text.ts";
import { type Absence, absenceOf } from "../../daemon/api/client/absence.ts";
import { ensureDaemon } from "../../daemon/api/client/autostart.ts";
import { DaemonClient } from "../../daemon/api/client/connection.ts";
import { statusWithoutDaemon } from "../status/report.ts";

/** `enter` starts the daemon where none runs (not where CI is set) and waits for an attachment; `follow` does neither. */
export const devshellSteps = ["enter", "follow"] as const;
export type DevshellStep = (typeof devshellSteps)[number];

/** When the answer has to be there, by the process' own clock (its start is 0): a prompt waits 2 s at most. Milliseconds. */
const patience: Readonly<Record<DevshellStep, number>> = { enter: 1600, follow: 800 };

export interface Devshell {
  readonly environment: ParityEnvironment;
  readonly report: StatusReport;
  /** For standard error; undefined where `follow` found nothing new. */
  readonly words: string | undefined;
}

/** Never throws for a daemon that is absent or hangs: a shell is entered all the same. */
export async function devshell(step: DevshellStep, { env, paths, profile }: Surroundings): Promise<Devshell> {
  const { report, fault } = await standing(step, { env, paths, profile });
  const environment = shellEnvironment(report, env);
  const own = ownCache(env) ? "; BAZEL_REMOTE_CACHE is your own and stays" : "";
  const changes =
    environment.unset.some((name) => env[name] !== undefined) ||
    Object.entries(environment.set).some(([name, value]) => env[name] !== value);
  return { environment, report, words: step === "enter" || changes ? `flywheel: ${sentence(report, fault)}${own}` : undefined };
}

interface Surroundings {
  readonly env: Environment;
  readonly paths: Paths;
  readonly profile: string;
}

async function standing(step: DevshellStep, { env, paths, profile }: Surroundings): Promise<{ report: StatusReport; fault?: string }> {
  const client = new DaemonClient(paths);
  const left = (): number => Math.max(1, Math.round(patience[step] - performance.now()));
  let report: StatusReport | undefined;
  const look = async (): Promise<Absence | undefined> => {
    try {
      for await (const seen of client.watch(profile, AbortSignal.timeout(left()))) {
        report = seen;
        if (step === "follow" || settled(seen)) break;
      }
      return undefined;
    } catch (error) {
      const next = error instanceof FlywheelError ? error.next : undefined;
      return absenceOf(error, paths) ?? { kind: "hung", words: messageOf(error), next: next ?? "flywheel status" };
    }
  };
  let absence = await look();
  let fault: string | undefined;
  if (absence?.kind === "none" && step === "enter") {
    if (env["CI"]) fault = "CI is set, so no daemon is started";
    else {
      const start = await ensureDaemon(paths, { timeoutMs: left() });
      if (start.result === "failed") fault = start.message;
      else absence = await look();
    }
  }
  if (report !== undefined) return { report };
  const absent = absence ?? { kind: "hung", words: "the daemon did not answer in time", next: "flywheel status" };
  return { report: await statusWithoutDaemon(paths, profile, absent), fault: fault ?? absent.words };
}

function settled({ bazel, nix }: StatusReport): boolean {
  return !bazel.unsettled && !nix.unsettled;
}

/**
 * The parity set, but for NIX_CONFIG: the guard adds the substituter to each nix command by itself, and what stood
 * in an entered shell's environment would outlive the attachment. Taken out where it is there and false.
 */
function shellEnvironment(report: StatusReport, env: Environment): ParityEnvironment {
  const parity = parityEnvironment(report, env);
  const bazel: readonly string[] = ownCache(env) ? bazelVariables : [];
  const set = Object.entries(parity.set).filter(
    ([name]) => !bazel.includes(name) && !(name === "NIX_CONFIG" && report.nix.state === "attached"),
  );
  const unset = parity.unset.filter((name) => !bazel.includes(name));
  const { endpoint } = report.bazel;
  if (ownCache(env) || report.bazel.state === "unattached" || endpoint === null) {
    return { set: Object.fromEntries(set), unset: [...unset, exportedVariable] };
  }
  return { set: { ...Object.fromEntries(set), [exportedVariable]: endpoint }, unset };
}

function ownCache(env: Environment): boolean {
  const cache = env["BAZEL_REMOTE_CACHE"] ?? "";
  return cache !== "" && cache !== env[exportedVariable];
}

function sentence(report: StatusReport, fault: string | undefined): string {
  const { bazel, nix } = report;
  const where = ({ endpoint, node }: StatusReport["bazel" | "nix"]): string =>
    printable(`${endpoint ?? ""}${node === null ? "" : ` on ${node}`}`, 200);
  const also = nix.state === "attached" && nix.trusted !== false ? `; nix: ${where(nix)}` : "";
  if (bazel.state === "attached") return `attached, ${report.profileState}: ${where(bazel)}${also}`;
  const next = printable(bazel.next ?? "flywheel status", 120);
  if (bazel.unsettled) return `still looking for a cache${also}; next: flywheel status`;
  return `not attached: ${printable(fault ?? bazel.reason ?? "nothing is known", 300)}${also}; next: ${next}`;
}
