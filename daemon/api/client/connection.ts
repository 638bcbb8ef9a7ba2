/** The daemon's API, spoken over its socket. Light on purpose: `flywheel status` must start fast. */
import { type ClientRequest, type IncomingMessage, request } from "node:http";
import { connect, type Socket } from "node:net";
import {
  type ApiFault,
  type AttachRequest,
  apiVersion,
  apiVersionHeader,
  type CredentialAnswer,
  type CredentialRequest,
  type GenerationAnswer,
  type GenerationRequest,
  type Hello,
  type ProbeReport,
  type ProbeRequest,
  type StatusReport,
  type StopRequest,
} from "../../../contract/api.ts";
import { errorCodes, FlywheelError } from "../../../contract/errors.ts";
import { type Paths, socketPath } from "../../../contract/paths.ts";
import { printable } from "../../../contract/text.ts";
import { version } from "../../../contract/version.ts";
import { inspectRuntimeDirectory, unsafe } from "./directory.ts";
import { isErrno, reasonOf } from "./errno.ts";
import { describeHello, nextOf } from "./skew.ts";

/** No answer of the API is longer: bytes. */
const largestAnswer = 4 * 1_048_576;

/** How long each kind of question may take: milliseconds. Verification climbs the ladder twice at most (2 s each). */
const patience = { quick: 2_000, probing: 8_000, silence: 40_000 } as const;

interface Asking {
  readonly timeoutMs: number;
  /** Whose answer is taken: one of the same version of the API, or any one's (hello and stop, which never change). */
  readonly versions: "own" | "any";
  readonly signal: AbortSignal | undefined;
}

const usual: Asking = { timeoutMs: patience.quick, versions: "own", signal: undefined };

/**
 * One daemon's API. Every method throws FlywheelError: `daemon-unreachable` where nobody answers in
 * time, `runtime-directory-unsafe` where somebody else could answer, `protocol` where another version
 * does, and the daemon's own code where it says no. No connection is kept between calls.
 */
export class DaemonClient {
  readonly #paths: Paths;

  constructor(paths: Paths) {
    this.#paths = paths;
  }

  /** Who runs. Answered by every version of the daemon, so never `protocol` but where it is no flywheeld at all. */
  async hello(): Promise<Hello> {
    return checkHello(await this.#ask<unknown>("GET", "/v1/hello", undefined, { versions: "any" }));
  }

  /** What is known now; asks no cache. */
  status(profile: string): Promise<StatusReport> {
    return this.#ask("GET", `/v1/status?profile=${encodeURIComponent(profile)}`);
  }

  /** What is known now, with what just ended: its record takes some tenths of a second, and is waited for no longer. */
  recorded(profile: string, timeoutMs: number = patience.quick): Promise<StatusReport> {
    return this.#ask("GET", `/v1/status?profile=${encodeURIComponent(profile)}&recorded`, undefined, { timeoutMs });
  }

  /** Proves the attachment again, or looks for one, and gives the status after that. */
  verify(profile: string): Promise<StatusReport> {
    return this.#ask("POST", "/v1/verify", { profile }, { timeoutMs: patience.probing });
  }

  /** Adds an operator endpoint, kept until it is detached, and gives the outcome of its first probe. */
  attach(attach: AttachRequest): Promise<ProbeReport> {
    return this.#ask("POST", "/v1/attach", attach, { timeoutMs: patience.probing });
  }

  /** Leaves the profile unattached until `up` or `attach`. */
  detach(profile: string): Promise<StatusReport> {
    return this.#ask("POST", "/v1/detach", { profile });
  }

  /** Ends `detach`, and gives the status after a first round. */
  up(profile: string): Promise<StatusReport> {
    return this.#ask("POST", "/v1/up", { profile }, { timeoutMs: patience.probing });
  }

  /** Judges one endpoint for one invocation; it never becomes the attachment. */
  probe(probe: ProbeRequest): Promise<ProbeReport> {
    return this.#ask("POST", "/v1/probe", probe, { timeoutMs: patience.probing });
  }

  /** What a credential helper answers for a URI; no headers where no profile owns it. */
  credential(request: CredentialRequest, timeoutMs: number = patience.quick): Promise<CredentialAnswer> {
    return this.#ask("POST", "/v1/credential", request, { timeoutMs });
  }

  /** Makes the files from which a tool takes the credential of an endpoint. */
  generation(request: GenerationRequest): Promise<GenerationAnswer> {
    return this.#ask("POST", "/v1/generation", request, { timeoutMs: patience.probing });
  }

  /** Reads config, profiles, trust and credentials again; throws `config-invalid` and keeps the old ones where they are malformed. */
  async reload(): Promise<void> {
    await this.#ask("POST", "/v1/reload", {});
  }

  /**
   * Asks the daemon to stop, whatever its version; it unpublishes first. Resolves once it has said yes, a moment
   * before it is gone.
   */
  async stop(request: StopRequest = {}): Promise<void> {
    await this.#ask("POST", "/v1/stop", request, { versions: "any" });
  }

  /**
   * The status now, then each time it changes. Ends when the daemon does or the signal aborts.
   * @throws FlywheelError as above, also when the daemon falls silent for 40 s (it sends an empty line each 15 s)
   */
  async *watch(profile: string, signal?: AbortSignal): AsyncGenerator<StatusReport, void, undefined> {
    const answer = await this.#send("GET", `/v1/watch?profile=${encodeURIComponent(profile)}`, undefined, {
      ...usual,
      signal,
    });
    answer.setTimeout(patience.silence, () => answer.destroy(this.#unreachable("it fell silent")));
    answer.setEncoding("utf8");
    let rest = "";
    try {
      for await (const chunk of answer) {
        const lines = `${rest}${chunk}`.split("\n");
        rest = lines.pop() ?? "";
        if (rest.length > largestAnswer) throw new FlywheelError("protocol", "the daemon's answer is too long");
        for (const line of lines) if (line !== "") yield this.#parse<StatusReport>(line);
      }
    } catch (error) {
      if (signal?.aborted === true) return;
      // The daemon went away between two lines: the stream's end, said less politely.
      if (isErrno(error) && error.code === "ECONNRESET") return;
      throw error;
    } finally {
      answer.destroy();
    }
  }

  async #ask<T>(method: "GET" | "POST", path: string, body?: unknown, options: Partial<Asking> = {}): Promise<T> {
    const started = performance.now();
    const asking = { ...usual, ...options };
    const answer = await this.#send(method, path, body, asking);
    const { timeoutMs } = asking;
    const left = Math.max(1, timeoutMs - (performance.now() - started));
    const timer = setTimeout(() => answer.destroy(this.#unreachable("it did not finish its answer in time")), left);
    try {
      return this.#parse<T>(await readAll(answer));
    } catch (error) {
      throw error instanceof FlywheelError ? error : this.#unreachable(reasonOf(error), error);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Sends one request and gives the answer once its head is there; an answer that says no is thrown. */
  async #send(method: "GET" | "POST", path: string, body: unknown, asking: Asking): Promise<IncomingMessage> {
    const runtime = inspectRuntimeDirectory(this.#paths.runtime);
    if (!runtime.ok) throw runtime.fault === "absent" ? this.#unreachable("it is not running") : unsafe(runtime);
    const { timeoutMs, versions, signal } = asking;
    const text = body === undefined ? undefined : JSON.stringify(body);
    const headers = text === undefined ? {} : { "content-type": "application/json", "content-length": Buffer.byteLength(text) };
    // A connection of our own making: an agent would keep none either, but take 7 ms to be made.
    const createConnection = (): Socket => connect(socketPath(this.#paths));
    const sent = request({ createConnection, method, path, headers, ...(signal && { signal }) });
    const answer = await this.#head(sent, text, timeoutMs);
    const api = answer.headers[apiVersionHeader];
    if (versions === "own" && api !== String(apiVersion)) {
      answer.destroy();
      throw await this.#otherVersion(typeof api === "string" ? api : undefined);
    }
    if (answer.statusCode === 200) return answer;
    throw faultOf(this.#parse<ApiFault>(await readAll(answer)));
  }

  #head(sent: ClientRequest, text: string | undefined, timeoutMs: number): Promise<IncomingMessage> {
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
    const timer = setTimeout(() => sent.destroy(this.#unreachable(`it did not answer within ${timeoutMs / 1000} s`)), timeoutMs);
    sent.on("response", resolve);
    // Also after the answer's head: an error of the connection then reaches the answer itself.
    sent.on("error", (error) => reject(error instanceof FlywheelError ? error : this.#unreachable(reasonOf(error), error)));
    sent.end(text);
    return promise.finally(() => clearTimeout(timer));
  }

  /** Says which of the two is the newer, and where it lies, as far as the daemon tells. */
  async #otherVersion(api: string | undefined): Promise<FlywheelError> {
    const other = `the running daemon speaks another version of the API (${printable(api ?? "none", 20)}, not ${apiVersion})`;
    try {
      const hello = await this.hello();
      return new FlywheelError("protocol", `${other}: ${describeHello(hello)}; this is flywheel ${version}`, { next: nextOf(hello) });
    } catch (cause) {
      return new FlywheelError("protocol", other, { next: "flywheel down, then flywheel up", cause });
    }
  }

  #parse<T>(text: string): T {
    try {
      // The shape is the daemon's word: only the user's own processes can stand behind the socket.
      return JSON.parse(text) as T;
    } catch (error) {
      throw new FlywheelError("protocol", "the daemon's answer is not JSON", { next: "flywheel logs", cause: error });
    }
  }

  #unreachable(reason: string, cause?: unknown): FlywheelError {
    const words = reason === "ENOENT" || reason === "ECONNREFUSED" ? "it is not running" : reason;
    return new FlywheelError("daemon-unreachable", `the daemon cannot be reached: ${words}`, { next: "flywheel up", cause });
  }
}

async function readAll(answer: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > largestAnswer) throw new FlywheelError("protocol", "the daemon's answer is too long");
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

/** Another version's word: what it leaves out, or says otherwise than today, is filled in. */
function checkHello(raw: unknown): Hello {
  const { api, pid, version: other, startedAt, entry, startedBy }: Partial<Record<keyof Hello, unknown>> = Object(raw);
  if (typeof api !== "number" || typeof pid !== "number" || !Number.isSafeInteger(pid) || pid < 1) {
    throw new FlywheelError("protocol", "what answers at the daemon's socket is no flywheeld", { next: "flywheel logs" });
  }
  return {
    api,
    pid,
    version: printable(typeof other === "string" ? other : "unknown", 40),
    startedAt: printable(typeof startedAt === "string" ? startedAt : "unknown", 40),
    entry: printable(typeof entry === "string" ? entry : "", 4096),
    startedBy: startedBy === "service" ? "service" : "flywheel",
  };
}

function faultOf(fault: ApiFault): FlywheelError {
  const { code, message, next } = fault.error;
  const known = errorCodes.find((one) => one === code) ?? "protocol";
  return new FlywheelError(known, message, next === null ? {} : { next });
}
