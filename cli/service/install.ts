/** What a service unit has to say: which node runs which daemon, for which directories. */
import type { Environment } from "../../contract/environment.ts";
import { FlywheelError } from "../../contract/errors.ts";
import { longestSocketPath, type Paths, socketPath } from "../../contract/paths.ts";
import { printable } from "../../contract/text.ts";
import { allocation, nodeFlags, ownEntry, systemPath } from "../../daemon/api/client/program.ts";

export interface Installation {
  /** Program, then arguments: absolute paths of this install's own node and daemon. */
  readonly command: readonly [string, ...string[]];
  /** All that the daemon is told of its surroundings; the directories outright, as where a flywheel starts it (program.ts). */
  readonly environment: Readonly<Record<string, string>>;
  readonly socket: string;
  /** XDG_RUNTIME_DIR, where the runtime directory lies below it. */
  readonly xdgRuntime: string | undefined;
}

/** A value that a line of a unit, or a text of a plist, can hold: no control character, and nothing that is not Unicode. */
const writable = /^[^\p{Cc}\p{Cs}\u2028\u2029\ufffd]*$/u;

/** @throws FlywheelError `usage` where a directory of this environment cannot be written into a unit */
export function installation(paths: Paths, env: Environment): Installation {
  const socket = socketPath(paths);
  if (Buffer.byteLength(socket) > longestSocketPath) {
    throw new FlywheelError(
      "usage",
      `no service can listen on ${printable(socket, 4096)}: the path is too long (${longestSocketPath} bytes)`,
      {
        next: "set GF_RUNTIME_DIR to a shorter one",
      },
    );
  }
  const tailscaled = env["GF_TAILSCALED_SOCKET"];
  const environment = {
    GF_RUNTIME_DIR: paths.runtime,
    GF_CONFIG_DIR: paths.config,
    GF_STATE_DIR: paths.state,
    ...(tailscaled === undefined || tailscaled === "" ? {} : { GF_TAILSCALED_SOCKET: tailscaled }),
    LANG: "C.UTF-8",
    PATH: systemPath,
    ...allocation,
  };
  const command = [process.execPath, ...nodeFlags, ownEntry, "run", "--service"] as const;
  for (const [name, value] of [...Object.entries(environment), ...command.map((word) => ["the path of this flywheel", word] as const)]) {
    if (!writable.test(value)) {
      throw new FlywheelError("usage", `${name} holds a character that no unit can hold: ${printable(value, 4096)}`, {
        next: "use a path of printable characters",
      });
    }
  }
  const xdgRuntime = env["XDG_RUNTIME_DIR"]?.replace(/(?<=.)\/+$/, "");
  return { command, environment, socket, xdgRuntime: xdgRuntime && paths.runtime.startsWith(`${xdgRuntime}/`) ? xdgRuntime : undefined };
}

/** The variables of whoever installs that the unit will hold on to: another shell, without them, looks elsewhere. */
export function carried(env: Environment): readonly string[] {
  return ["GF_RUNTIME_DIR", "GF_CONFIG_DIR", "GF_STATE_DIR", "GF_TAILSCALED_SOCKET"].filter((name) => (env[name] ?? "") !== "");
}
