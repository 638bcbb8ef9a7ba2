/**
 * What `flywheel guard` tells the sh that asked: a plan, one word a line, on the pipe that sh reads. sh then
 * replaces itself with the tool, so that argv and environment reach it as bytes, whatever their encoding.
 */
export const planVersion = "flywheel-plan-1";

export type Plan =
  /** The tool runs as it was called. */
  | { readonly kind: "run" }
  /** The flags go before argument number `at`, counted from the first word after the tool's name. */
  | { readonly kind: "inject"; readonly command: string; readonly at: number; readonly flags: readonly string[] }
  /** Refused: sh exits 78; what to say has been said on stderr. */
  | { readonly kind: "stop" };

/** No flag may hold white space: each is built from validated parts. */
export function planText(plan: Plan): string {
  switch (plan.kind) {
    case "run":
      return `${planVersion}\nrun\n`;
    case "stop":
      return `${planVersion}\nstop\n`;
    case "inject": {
      const odd = plan.flags.find((flag) => !/^--[^\s]+$/.test(flag));
      if (odd !== undefined) throw new TypeError("a flag that sh could not carry");
      // For the mark of the running command, where it is a name at all: sh may not have found it.
      const command = /^[A-Za-z0-9_-]{1,64}$/.test(plan.command) ? [`command=${plan.command}`] : [];
      return `${[planVersion, `inject=${plan.at}`, ...command, ...plan.flags].join("\n")}\n`;
    }
  }
}
