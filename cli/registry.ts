/** The commands by name, each loaded only when it is called or when help needs its words. */
import type { Command } from "./command.ts";

type Load = () => Promise<{ readonly default: Command }>;

/** In the order of the help. */
export const registry: Readonly<Record<string, Load>> = {
  up: () => import("./commands/up.ts"),
  down: () => import("./commands/down.ts"),
  status: () => import("./commands/status.ts"),
  top: () => import("./commands/top.ts"),
  prompt: () => import("./commands/prompt.ts"),
  env: () => import("./commands/env.ts"),
  contract: () => import("./commands/contract.ts"),
  attach: () => import("./commands/attach.ts"),
  detach: () => import("./commands/detach.ts"),
  enroll: () => import("./commands/enroll.ts"),
  login: () => import("./commands/login.ts"),
  logout: () => import("./commands/logout.ts"),
  trust: () => import("./commands/trust.ts"),
  exec: () => import("./commands/exec.ts"),
  shell: () => import("./commands/shell.ts"),
  compat: () => import("./commands/compat.ts"),
  explain: () => import("./commands/explain.ts"),
  service: () => import("./commands/service.ts"),
  shim: () => import("./commands/shim.ts"),
  doctor: () => import("./commands/doctor.ts"),
  parity: () => import("./commands/parity.ts"),
  proof: () => import("./commands/proof.ts"),
  logs: () => import("./commands/logs.ts"),
  history: () => import("./commands/history.ts"),
  completion: () => import("./commands/completion.ts"),
  version: () => import("./commands/version.ts"),
};

/** All of them, in the order of the help. */
export function allCommands(): Promise<readonly Command[]> {
  return Promise.all(Object.values(registry).map(async (load) => (await load()).default));
}

/** The command of that name; undefined where there is none. */
export async function loadCommand(name: string): Promise<Command | undefined> {
  const load = Object.hasOwn(registry, name) ? registry[name] : undefined;
  return load === undefined ? undefined : (await load()).default;
}
