/** What is said, and with which exit code, when a command throws. */
import { type ErrorCode, FlywheelError, messageOf } from "../contract/errors.ts";
import { Exit } from "../contract/exit.ts";
import { printable } from "../contract/text.ts";
import type { Output } from "./output/output.ts";

function exitOf(code: ErrorCode): number {
  switch (code) {
    case "usage":
      return Exit.usage;
    case "tool-not-found":
      return Exit.notFound;
    case "config-invalid":
    case "endpoint-invalid":
    case "runtime-directory-unsafe":
    case "state-directory-unusable":
    case "daemon-unreachable":
    case "daemon-start-failed":
    case "tailnet-unreachable":
    case "env-file-invalid":
    case "credentials-unusable":
    case "keyring-missing":
    case "keyring-locked":
    case "keyring-denied":
    case "protocol":
    case "internal":
      return Exit.failed;
  }
}

/**
 * Says what went wrong: two lines on standard error, or with `--json` an object on standard output.
 * A stack trace only when `trace` is asked for.
 * @returns the exit code
 */
export function report(thrown: unknown, output: Output, trace: "hidden" | "shown"): number {
  const error =
    thrown instanceof FlywheelError
      ? thrown
      : new FlywheelError("internal", `this should not have happened: ${messageOf(thrown)}`, {
          next: "repeat it with --debug and report what it prints",
          cause: thrown,
        });
  const message = printable(error.message, 2000);
  const next = error.next === undefined ? null : printable(error.next, 1000);
  if (output.format === "json") output.json({ error: { code: error.code, message, next } });
  else {
    output.notice(`${output.noticePaint.red("flywheel:")} ${message}`);
    if (next !== null) output.notice(`  next: ${next}`);
  }
  if (trace === "shown") output.notice(stackOf(error));
  return exitOf(error.code);
}

function stackOf(error: Error): string {
  const own = error.stack ?? error.message;
  return error.cause instanceof Error ? `${own}\ncaused by ${stackOf(error.cause)}` : own;
}
