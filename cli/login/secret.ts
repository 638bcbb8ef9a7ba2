/** The secret itself: from a file, from standard input, or typed at a prompt that does not show it; never an argument. */
import { closeSync, constants, fstatSync, openSync, type Stats } from "node:fs";
import { isatty } from "node:tty";
import { basicPassword, bearerToken, longestSecret } from "../../contract/credential.ts";
import type { Endpoint } from "../../contract/endpoint.ts";
import { FlywheelError } from "../../contract/errors.ts";
import { netrcFault } from "../../contract/nix/netrc.ts";
import { Secret } from "../../contract/secret.ts";
import { printable } from "../../contract/text.ts";
import { readBounded } from "../../daemon/api/client/bounded.ts";
import { reasonOf } from "../../daemon/api/client/errno.ts";
import type { Output } from "../output/output.ts";
import { closing, exposure } from "./exposure.ts";
import { askHidden } from "./prompt.ts";

/** No token is longer: bytes. */
const largest = 65_536;

/**
 * @param file absolute; undefined: standard input, or where that is a terminal a prompt
 * @returns undefined where the user left the prompt
 * @throws FlywheelError `usage` where there is nothing to read, `credentials-unusable` for a file that others may read
 */
export async function readSecret(
  what: "token" | "password",
  from: { readonly file: string | undefined; readonly endpoint: Endpoint; readonly output: Output },
): Promise<Secret | undefined> {
  const text = from.file === undefined ? await typedOrPiped(what, from) : fromFile(from.file);
  if (text === undefined) return undefined;
  // What an editor or `echo` leaves at the end.
  const secret = text.replace(/[\r\n]+$/, "");
  if (secret === "") throw new FlywheelError("usage", `the ${what} is empty`, { next: "flywheel login --help" });
  const form = what === "token" ? bearerToken : basicPassword;
  const unreadable = from.endpoint.kind === "nix" ? netrcFault(secret) : undefined;
  if (unreadable !== undefined) {
    throw new FlywheelError("usage", `Nix cannot read this ${what}: it ${unreadable}`, {
      next: "get another one from the cache's operator",
    });
  }
  if (form.test(secret)) return new Secret(secret);
  if (secret.length > longestSecret[what]) {
    const lengths = `it has ${secret.length} characters, and at most ${longestSecret[what]} are taken`;
    throw new FlywheelError("usage", `this is no ${what} that can be sent: ${lengths}`, { next: "flywheel login --help" });
  }
  const allowed =
    what === "token"
      ? "one word of letters, digits and -._~+/, with = at its end (RFC 6750), and no `Bearer` before it"
      : "one word of printable ASCII";
  throw new FlywheelError("usage", `this is no ${what} that can be sent: it must be ${allowed}`, { next: "flywheel login --help" });
}

async function typedOrPiped(
  what: "token" | "password",
  { endpoint, output }: { readonly endpoint: Endpoint; readonly output: Output },
): Promise<string | undefined> {
  if (!isatty(0)) return await piped();
  if (!isatty(2)) {
    throw new FlywheelError("usage", `the ${what} would be asked for on standard error, which is no terminal`, {
      next: "give it with --token-file, or on standard input",
    });
  }
  return askHidden(output, `${what === "token" ? "Token" : "Password"} for ${endpoint.url} (it is not shown): `);
}

async function piped(): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of process.stdin as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > largest) throw new FlywheelError("usage", `standard input holds more than ${largest / 1024} KiB: that is no secret`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

function fromFile(file: string): string {
  try {
    const stats = look(file);
    const fault = exposure(stats);
    if (fault === undefined) return readBounded(file, largest).toString("utf8");
    throw new FlywheelError("credentials-unusable", `${printable(file, 4096)} is not secret: ${fault}`, {
      next: `${closing(file, stats)}; and think of another token: this one may have been read`,
    });
  } catch (error) {
    if (error instanceof FlywheelError) throw error;
    throw new FlywheelError("credentials-unusable", `${printable(file, 4096)} cannot be read (${reasonOf(error)})`, {
      next: "name a file of yours (0600), or give the secret on standard input",
      cause: error,
    });
  }
}

function look(file: string): Stats {
  const opened = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  try {
    return fstatSync(opened);
  } finally {
    closeSync(opened);
  }
}
