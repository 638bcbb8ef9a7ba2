/** What `flywheel attach` and `detach` said, kept in operator.json of the state directory. */
import { mkdirSync } from "node:fs";
import * as v from "valibot";
import writeFileAtomic from "write-file-atomic";
import { FlywheelError } from "../../contract/errors.ts";
import { noOperator, type OperatorEndpoint, type OperatorStore, operatorSchema } from "../../contract/operator.ts";
import type { Paths } from "../../contract/paths.ts";
import { readBounded } from "../api/client/bounded.ts";
import { isErrno, reasonOf } from "../api/client/errno.ts";

/** No more endpoints are kept: the oldest gives way. */
const mostKept = 32;
/** And those need far less than this: bytes. */
const largestStore = 1_048_576;

/** Holds the store in memory, so that a state directory that cannot be written costs persistence and nothing else. */
export class OperatorMemory {
  readonly #file: string;
  readonly #directory: string;
  #store: OperatorStore = noOperator;
  /** The file is there but cannot be read: it is never overwritten. */
  #broken: FlywheelError | undefined;

  constructor(paths: Paths) {
    this.#directory = paths.state;
    this.#file = `${paths.state}/operator.json`;
  }

  get store(): OperatorStore {
    return this.#store;
  }

  /** @throws FlywheelError `state-directory-unusable` where the file is there but is not what attach and detach write */
  load(): void {
    try {
      this.#store = this.#read();
      this.#broken = undefined;
    } catch (error) {
      if (error instanceof FlywheelError) this.#broken = error;
      throw error;
    }
  }

  #read(): OperatorStore {
    let raw: unknown;
    try {
      raw = JSON.parse(readBounded(this.#file, largestStore).toString("utf8"));
    } catch (error) {
      if (isErrno(error) && error.code === "ENOENT") return noOperator;
      throw this.#unusable(error instanceof SyntaxError ? "it is not JSON" : reasonOf(error), error);
    }
    const result = v.safeParse(operatorSchema, raw);
    if (!result.success) throw this.#unusable(result.issues[0].message, undefined);
    return result.output;
  }

  /** Keeps an endpoint for a profile, newest first, and ends its detachment. @throws FlywheelError as remember does */
  attach(endpoint: OperatorEndpoint): void {
    const others = this.#store.attached.filter(
      (kept) => kept.profile !== endpoint.profile || kept.kind !== endpoint.kind || kept.endpoint !== endpoint.endpoint,
    );
    this.#remember({
      ...this.#store,
      attached: [endpoint, ...others].slice(0, mostKept),
      detached: this.#store.detached.filter((profile) => profile !== endpoint.profile),
    });
  }

  /** Forgets the profile's endpoints and keeps it unattached. */
  detach(profile: string): void {
    const detached = [...new Set([...this.#store.detached, profile])];
    this.#remember({ ...this.#store, attached: this.#store.attached.filter((kept) => kept.profile !== profile), detached });
  }

  up(profile: string): void {
    if (!this.#store.detached.includes(profile)) return;
    this.#remember({ ...this.#store, detached: this.#store.detached.filter((kept) => kept !== profile) });
  }

  /** It holds for this daemon's life even where it cannot be written. */
  #remember(store: OperatorStore): void {
    this.#store = store;
    if (this.#broken !== undefined) throw this.#broken;
    try {
      mkdirSync(this.#directory, { recursive: true, mode: 0o700 });
      writeFileAtomic.sync(this.#file, `${JSON.stringify(store, undefined, 2)}\n`, { mode: 0o600 });
    } catch (error) {
      throw new FlywheelError(
        "state-directory-unusable",
        `it holds until the daemon stops, but ${this.#file} cannot be written (${reasonOf(error)})`,
        { next: "make the state directory writable, or set GF_STATE_DIR", cause: error },
      );
    }
  }

  #unusable(reason: string, cause: unknown): FlywheelError {
    return new FlywheelError("state-directory-unusable", `${this.#file} cannot be used: ${reason}`, {
      next: `mend or remove ${this.#file}`,
      cause,
    });
  }
}
