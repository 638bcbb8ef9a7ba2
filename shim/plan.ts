/**
 * What `flywheel guard` tells the sh that asked: a plan, one word a line, on the pipe that sh reads. sh then
 * replaces itself with the tool, so that argv and environment reach it as bytes, whatever their encoding.
 */
import type { Channel } from "../contract/nix/command-line.ts";
import type { NixSetting } from "../contract/nix/injection.ts";
import { profileName } from "../contract/published.ts";

export const planVersion = "flywheel-plan-1";

export type Plan =
  /** The tool runs as it was called. */
  | { readonly kind: "run" }
  /** The flags go before argument number `at`, counted from the first word after the tool's name. */
  | {
      readonly kind: "inject";
      readonly command: string;
      readonly profile: string;
      readonly at: number;
      readonly flags: readonly string[];
      /** Startup options that go in front of every other word. */
      readonly startup: readonly string[];
    }
  /** Nix: as flags in front of every word, or in NIX_CONFIG. `attached`: a command that runs attached leaves its mark. */
  | {
      readonly kind: "settings";
      readonly command: string;
      readonly profile: string;
      readonly attached: boolean;
      readonly channel: Channel;
      readonly settings: readonly NixSetting[];
    }
  /** Refused: sh exits 78; what to say has been said on stderr. */
  | { readonly kind: "stop" };

/** No flag may hold white space: each is built from validated parts. */
export function planText(plan: Plan): string {
  switch (plan.kind) {
    case "run":
      return `${planVersion}\nrun\n`;
    case "stop":
      return `${planVersion}\nstop\n`;
    case "settings": {
      const lines = plan.settings.map(({ name, value }) => `${name}=${value}`);
      if (!lines.every((line) => /^[a-z][a-z-]*=[^\s]+$/.test(line))) throw new TypeError("a setting that sh could not carry");
      const mark = plan.command.replaceAll(" ", "-");
      const command = plan.attached && /^[A-Za-z0-9_-]{1,64}$/.test(mark) ? [`command=${mark}`] : [];
      return `${[planVersion, plan.channel, ...command, profileLine(plan.profile), ...lines].join("\n")}\n`;
    }
    case "inject": {
      const odd = plan.flags.find((flag) => !/^--[^\s]+$/.test(flag));
      if (odd !== undefined) throw new TypeError("a flag that sh could not carry");
      if (!plan.startup.every((word) => /^--bazelrc=\/[A-Za-z0-9._/+@,=:-]+$/.test(word)))
        throw new TypeError("a startup option that sh could not carry");
      const startup = plan.startup.map((word) => `startup=${word}`);
      // For the mark of the running command, where it is a name at all: sh may not have found it.
      const command = /^[A-Za-z0-9_-]{1,64}$/.test(plan.command) ? [`command=${plan.command}`] : [];
      return `${[planVersion, `inject=${plan.at}`, ...command, profileLine(plan.profile), ...startup, ...plan.flags].join("\n")}\n`;
    }
  }
}

/** Whose attachment it is, for the mark: the environment need not have said. */
function profileLine(profile: string): string {
  if (!profileName.test(profile)) throw new TypeError("a profile that sh could not carry");
  return `profile=${profile}`;
}
