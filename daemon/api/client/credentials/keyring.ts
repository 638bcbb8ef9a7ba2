/**
 * The system's keyring: Secret Service on Linux, Keychain on macOS. Not by the package's keytar-like module: that one
 * takes a locked keyring for an empty one, and where there is no Secret Service it keeps secrets in the kernel's keyring,
 * until the next boot (tried on 2.1).
 */
import type { AsyncEntry } from "@napi-rs/keyring";
import { FlywheelError, messageOf } from "../../../../contract/errors.ts";
import { Secret } from "../../../../contract/secret.ts";
import { printable } from "../../../../contract/text.ts";
import { nativeKeyring } from "./native.ts";
import type { Vault } from "./vault.ts";

const service = "gloriousflywheel";

/** Somebody may have to type a password before it answers: milliseconds. */
const patience = 60_000;

export function keyringVault(): Vault {
  return {
    read: (generation) =>
      asked(async (signal) => {
        const bytes = await entryOf(generation).getSecret(signal);
        return bytes === null ? undefined : new Secret(Buffer.from(bytes).toString("utf8"));
      }),
    write: (generation, secret) => asked((signal) => entryOf(generation).setSecret(Buffer.from(secret.reveal(), "utf8"), signal)),
    remove: (generation) => asked((signal) => entryOf(generation).deleteCredential(signal)),
  };
}

function entryOf(generation: string): AsyncEntry {
  const { AsyncEntry } = nativeKeyring();
  return new AsyncEntry(service, generation, { linux: { store: "secret-service" } });
}

async function asked<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  try {
    return await work(AbortSignal.timeout(patience));
  } catch (error) {
    throw error instanceof FlywheelError ? error : faultOf(error);
  }
}

/** The package tells what went wrong in words alone. */
function faultOf(error: unknown): FlywheelError {
  const words = messageOf(error);
  if (/prompt was dismissed|is locked|IsLocked|user interaction is not allowed|-25308/i.test(words)) {
    return new FlywheelError("keyring-locked", "the system's keyring is locked, and nobody unlocked it", {
      next: "unlock it (log in to the desktop, or unlock it where you can type), then: flywheel up",
      cause: error,
    });
  }
  if (/Rejected send message|AccessDenied|denied|not authorized|-25293|-128/i.test(words)) {
    return new FlywheelError("keyring-denied", "the system's keyring does not let this program in", {
      next: "allow it in the keyring, or keep secrets in files of yours: flywheel login <endpoint> --store file",
      cause: error,
    });
  }
  if (/not provided by any|autolaunch|ServiceUnknown|NameHasNoOwner|Failed to connect to socket|Connection refused/i.test(words)) {
    return new FlywheelError("keyring-missing", "there is no keyring here (no Secret Service answers on the session's bus)", {
      next: "on a machine without a desktop, keep secrets in files of yours (0600): flywheel login <endpoint> --store file",
      cause: error,
    });
  }
  const reason = /did not receive a reply|NoReply|timed? ?out|aborted/i.test(words) ? "it does not answer" : printable(words, 200);
  return new FlywheelError("keyring-missing", `the system's keyring cannot be used: ${reason}`, {
    next: "see that it works for other programs, or keep secrets in files of yours (0600): flywheel login <endpoint> --store file",
    cause: error,
  });
}
