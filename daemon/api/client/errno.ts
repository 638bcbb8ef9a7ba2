/** System errors, as Node throws them. */
import { messageOf } from "../../../contract/errors.ts";

/** Whether it is one: it has a code. */
export function isErrno(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && "code" in error;
}

/** The short form of a system error, `EACCES`, or its message. */
export function reasonOf(error: unknown): string {
  return isErrno(error) && typeof error.code === "string" ? error.code : messageOf(error);
}
