/** A machine's boot clock: files that lie over /proc/uptime and the boot id in its own mount namespace. It runs as the real one does, and jumps when told. */
import { execFileSync } from "node:child_process";
import { randomUUID } from "node:crypto";
import { closeSync, openSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";

/** Whole seconds are all that anybody reads; looked at more often than they change, milliseconds. */
const tick = 100;
/** Digits before the point: always as many, so that a reader never meets a shorter file than it began with. */
const width = 9;
const firstSeconds = 100_000_000;

export class BootClock {
  readonly #uptime: number;
  readonly #bootIdFile: string;
  readonly #timer: NodeJS.Timeout;
  #base = firstSeconds - performance.now() / 1000;
  #written = -1;
  #bootId: string = randomUUID();

  /** Needs a mount namespace of its own. @param directory where the files that are mounted lie */
  constructor(directory: string) {
    const uptime = join(directory, "uptime");
    this.#bootIdFile = join(directory, "boot_id");
    writeFileSync(uptime, "");
    // In place, always: a mount holds on to the file, not to its name.
    this.#uptime = openSync(uptime, "r+");
    this.#write();
    writeFileSync(this.#bootIdFile, `${this.#bootId}\n`);
    execFileSync("mount", ["--bind", uptime, "/proc/uptime"]);
    execFileSync("mount", ["--bind", this.#bootIdFile, "/proc/sys/kernel/random/boot_id"]);
    this.#timer = setInterval(() => this.#write(), tick).unref();
  }

  /** As everybody on the machine reads it now. */
  get seconds(): number {
    return this.#written;
  }

  get bootId(): string {
    return this.#bootId;
  }

  /** The machine slept. */
  jump(seconds: number): void {
    this.#base += seconds;
    this.#write();
  }

  /** Another boot: seconds begin again. */
  reboot(): void {
    this.#base = firstSeconds - performance.now() / 1000;
    this.#written = -1;
    this.#bootId = randomUUID();
    writeFileSync(this.#bootIdFile, `${this.#bootId}\n`);
    this.#write();
  }

  stop(): void {
    clearInterval(this.#timer);
    closeSync(this.#uptime);
  }

  #write(): void {
    const seconds = Math.floor(this.#base + performance.now() / 1000);
    if (seconds === this.#written) return;
    this.#written = seconds;
    writeSync(this.#uptime, `${String(seconds).padStart(width, "0")}.00 ${seconds}.00\n`, 0);
  }
}
