/** A daemon whose word the test gives: the daemon's own server on a real socket, and the built `flywheel top` as its client. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { AttachRequest, ProbeReport, StatusReport } from "../../../contract/api.ts";
import { FlywheelError } from "../../../contract/errors.ts";
import { pathsFrom, socketPath } from "../../../contract/paths.ts";
import { version } from "../../../contract/version.ts";
import { type ApiServer, serve } from "../../../daemon/api/server.ts";
import { built } from "../../fixtures/stage.ts";
import { type Size, start, type TestTerminal } from "../../fixtures/terminal/terminal.ts";

export class ToldDaemon {
  readonly dir: string;
  readonly env: Readonly<Record<string, string>>;
  /** What was asked of it, in order. */
  readonly asked: string[] = [];
  /** How it answers `verify`; the report of now unless told. */
  verifying: () => Promise<StatusReport> = () => Promise.resolve(this.#report);
  attaching: (request: AttachRequest) => Promise<ProbeReport> = ({ endpoint }) => Promise.resolve({ ok: true, endpoint, latencyMs: 1.5 });
  readonly #watchers = new Set<(status: StatusReport) => void>();
  #report: StatusReport;
  #server: ApiServer | undefined;

  constructor(report: StatusReport) {
    this.#report = report;
    // Short, since a socket's path has 107 bytes.
    this.dir = mkdtempSync(join(tmpdir(), "gf-top-"));
    mkdirSync(join(this.dir, "run"), { mode: 0o700 });
    mkdirSync(join(this.dir, "state"), { mode: 0o700 });
    this.env = {
      HOME: this.dir,
      PATH: "/usr/local/bin:/usr/bin:/bin",
      LANG: "C.UTF-8",
      TZ: "UTC",
      COLORTERM: "",
      GF_CONFIG_DIR: join(this.dir, "config"),
      GF_STATE_DIR: join(this.dir, "state"),
      GF_RUNTIME_DIR: join(this.dir, "run"),
      GF_TAILSCALED_SOCKET: join(this.dir, "no-tailscaled"),
    };
  }

  /** Listens, so that whoever looks finds it. */
  async up(): Promise<void> {
    this.#server = await serve(
      { path: socketPath(pathsFrom(this.env, this.dir)), handed: undefined },
      {
        hello: () => ({ api: 1, pid: process.pid, version, startedAt: "2026-11-20T07:00:00Z", entry: "", startedBy: "flywheel" }),
        status: () => this.#report,
        recorded: async () => this.#report,
        watch: (_profile, listener) => {
          this.#watchers.add(listener);
          listener(this.#report);
          return () => this.#watchers.delete(listener);
        },
        verify: () => {
          this.asked.push("verify");
          return this.verifying();
        },
        attach: (request) => {
          this.asked.push(`attach ${request.kind} ${request.endpoint}`);
          return this.attaching(request);
        },
        detach: () => this.#ask("detach"),
        up: () => this.#ask("up"),
        probe: () => Promise.reject(new FlywheelError("usage", "nobody asks that here")),
        credential: () => Promise.reject(new FlywheelError("usage", "nobody asks that here")),
        generation: () => Promise.reject(new FlywheelError("usage", "nobody asks that here")),
        reload: () => {
          this.asked.push("reload");
        },
        stop: () => {},
        onDefect: (thrown) => {
          throw thrown;
        },
      },
    );
  }

  /** As a daemon that ends: its socket goes, its watches end. */
  async down(): Promise<void> {
    await this.#server?.close();
    this.#server = undefined;
  }

  tell(report: StatusReport): void {
    this.#report = report;
    for (const watcher of this.#watchers) watcher(report);
  }

  log(lines: readonly string[]): void {
    writeFileSync(join(this.dir, "state/daemon.log"), lines.map((line) => `${line}\n`).join(""), { flag: "a" });
  }

  top(options: Partial<Size> & { env?: Readonly<Record<string, string>> } = {}): TestTerminal {
    const { env, ...size } = options;
    return start([built.flywheel, "top"], { ...size, cwd: this.dir, env: { ...this.env, ...env } });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.down();
    rmSync(this.dir, { recursive: true, force: true });
  }

  #ask(what: string): Promise<StatusReport> {
    this.asked.push(what);
    return Promise.resolve(this.#report);
  }
}

export async function toldDaemon(report: StatusReport): Promise<ToldDaemon> {
  const daemon = new ToldDaemon(report);
  await daemon.up();
  return daemon;
}
