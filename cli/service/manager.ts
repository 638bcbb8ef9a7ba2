/** The service managers: which files they read, and what is said to them. */
import { execFile } from "node:child_process";
import type { Environment } from "../../contract/environment.ts";
import { FlywheelError } from "../../contract/errors.ts";
import { printable } from "../../contract/text.ts";
import type { Installation } from "./install.ts";
import { agent, label } from "./launchd.ts";
import { marked } from "./mark.ts";
import { serviceUnit, socketUnit, unitNames } from "./systemd.ts";

/** A command line of the manager's own tool, as a person could type it. */
export type Step = readonly [string, ...string[]];

export interface Manager {
  readonly name: "systemd" | "launchd";
  /** Where its files are, and what they are to say. */
  readonly files: readonly { readonly file: string; readonly text: string }[];
  /** Fails where the manager cannot be spoken to. */
  readonly answers: Step;
  /** After the files were written. */
  readonly start: readonly Step[];
  /** Before the files are removed, and after. */
  readonly stop: readonly Step[];
  readonly forget: readonly Step[];
  /** What enabling made beside the files, and what a person types: where the files were removed and no manager answered. */
  readonly left: { readonly links: readonly string[]; readonly steps: readonly Step[] };
  /** What it has to say about the service, for status. */
  readonly show: Step;
}

export interface Place {
  readonly env: Environment;
  readonly home: string;
  readonly platform: NodeJS.Platform;
  readonly uid: number;
}

/** @throws FlywheelError `usage` where the platform's manager is not known */
export function managerOf({ env, home, platform, uid }: Place, installation: Installation): Manager {
  const base = env["HOME"] || home;
  switch (platform) {
    case "linux":
      return systemd(
        `${env["XDG_CONFIG_HOME"]?.startsWith("/") === true ? env["XDG_CONFIG_HOME"] : `${base}/.config`}/systemd/user`,
        installation,
      );
    case "darwin":
      return launchd(`${base}/Library/LaunchAgents/${label}.plist`, uid, installation);
    default:
      throw new FlywheelError("usage", `there is no service for ${platform}`, { next: "flywheel up, which starts the daemon without one" });
  }
}

function systemd(directory: string, installation: Installation): Manager {
  const { socket, service } = unitNames;
  const systemctl = (...words: string[]): Step => ["systemctl", "--user", ...words];
  return {
    name: "systemd",
    files: [
      { file: `${directory}/${socket}`, text: marked(socketUnit(installation), "systemd") },
      { file: `${directory}/${service}`, text: marked(serviceUnit(installation), "systemd") },
    ],
    answers: systemctl("show", "--property=Version"),
    // A socket cannot be started anew under a service that runs.
    start: [systemctl("daemon-reload"), systemctl("enable", socket), systemctl("stop", service), systemctl("restart", socket)],
    stop: [systemctl("disable", "--now", socket), systemctl("stop", service)],
    forget: [systemctl("daemon-reload")],
    left: {
      links: [`${directory}/sockets.target.wants/${socket}`],
      steps: [systemctl("stop", socket, service), systemctl("daemon-reload")],
    },
    show: systemctl("show", "--property=Id,UnitFileState,ActiveState", socket, service),
  };
}

function launchd(file: string, uid: number, installation: Installation): Manager {
  const domain = `gui/${uid}`;
  return {
    name: "launchd",
    files: [{ file, text: marked(agent(installation), "xml") }],
    answers: ["launchctl", "print", domain],
    start: [["launchctl", "bootstrap", domain, file]],
    stop: [["launchctl", "bootout", `${domain}/${label}`]],
    forget: [],
    left: { links: [], steps: [["launchctl", "bootout", `${domain}/${label}`]] },
    show: ["launchctl", "print", `${domain}/${label}`],
  };
}

/** @returns what it printed, undefined where it failed; and the tool's own words about that */
export async function asked(step: Step, env: Environment): Promise<{ readonly stdout: string | undefined; readonly words: string }> {
  return execute(step, env);
}

/** @returns what it printed; undefined where it failed */
export async function tried(step: Step, env: Environment): Promise<string | undefined> {
  return (await execute(step, env)).stdout;
}

/** @throws FlywheelError `daemon-start-failed` with the tool's own words */
export async function done(step: Step, env: Environment): Promise<void> {
  const { stdout, words } = await execute(step, env);
  if (stdout === undefined) throw new FlywheelError("daemon-start-failed", `${step.join(" ")} failed: ${words}`, { next: step.join(" ") });
}

/** A manager that hangs must not hang us: milliseconds. */
const patience = 30_000;

function execute([program, ...args]: Step, env: Environment): Promise<{ stdout: string | undefined; words: string }> {
  return new Promise((resolve) => {
    execFile(program, args, { env: { ...env }, timeout: patience, maxBuffer: 1_048_576 }, (error, stdout, stderr) => {
      const words = printable(stderr.trim().replaceAll(/\s+/g, " ") || (error?.message ?? ""), 500);
      resolve({ stdout: error === null ? stdout : undefined, words });
    });
  });
}
