/** What an error is, for machines: stable, and the same on the daemon's socket. */
export const errorCodes = [
  "usage",
  "config-invalid",
  "endpoint-invalid",
  "runtime-directory-unsafe",
  "state-directory-unusable",
  "daemon-unreachable",
  "daemon-start-failed",
  "tailnet-unreachable",
  "tool-not-found",
  "env-file-invalid",
  "credentials-unusable",
  "keyring-missing",
  "keyring-locked",
  "keyring-denied",
  "protocol",
  "internal",
] as const;
export type ErrorCode = (typeof errorCodes)[number];

/**
 * The one error class. `code` is for machines; `message` is one line in the user's words;
 * `next` is what to type or do next. What went wrong beneath is `cause`.
 */
export class FlywheelError extends Error {
  override readonly name = "FlywheelError";
  readonly code: ErrorCode;
  /** The next step, as a command or a short sentence; absent where there is none. */
  readonly next: string | undefined;

  constructor(code: ErrorCode, message: string, options: { next?: string; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.next = options.next;
  }
}

/** The message of anything that was thrown, on one line. */
export function messageOf(thrown: unknown): string {
  const text = thrown instanceof Error ? thrown.message : String(thrown);
  return text.replaceAll(/\s+/g, " ").trim();
}
