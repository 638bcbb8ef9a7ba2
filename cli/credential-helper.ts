/**
 * `flywheel-credential-helper get`: Bazel's credential helper (contract/credential-helper.ts). It asks the daemon, which has
 * the secrets in memory; it starts none, asks nobody anything, and answers or gives up within a second. One line on standard
 * error says what went wrong, and never a secret. A bundle of its own: what it seldom needs is loaded only then.
 */
import { homedir } from "node:os";
import type { CredentialAnswer, CredentialRequest } from "../contract/api.ts";
import { answerText, longestQuestion, readQuestion } from "../contract/credential-helper.ts";
import { FlywheelError, messageOf } from "../contract/errors.ts";
import { Exit } from "../contract/exit.ts";
import { type Paths, pathsFrom } from "../contract/paths.ts";
import { printable } from "../contract/text.ts";
import { DaemonClient } from "../daemon/api/client/connection.ts";
import { chooseProfile } from "./profile.ts";

/** From its start to its answer, and of that for the daemon, which if it is well answers within a few: milliseconds. */
const longest = 950;
const patience = 800;

const nobody: CredentialAnswer = { headers: {}, expires: null };

async function get(): Promise<string> {
  const { uri, asked } = readQuestion(await readAll());
  const { env } = process;
  const paths = pathsFrom(env, homedir());
  // As the guard chose it: Bazel runs us in the workspace, with its client's environment.
  const { profile } = await chooseProfile(undefined, { env, paths, cwd: () => process.cwd() });
  const fromDaemon = await askDaemon(paths, { profile, uri });
  if ("headers" in fromDaemon && Object.keys(fromDaemon.headers).length > 0) return answerText(fromDaemon);
  const [{ withoutDaemon }, { ownNetrc }] = await Promise.all([
    import("./credential-helper/without-daemon.ts"),
    import("./credential-helper/own-netrc.ts"),
  ]);
  const absent = fromDaemon instanceof FlywheelError ? fromDaemon : undefined;
  return answerText((await withoutDaemon({ paths, env, profile, asked, absent })) ?? ownNetrc(asked, env, homedir()) ?? nobody);
}

async function askDaemon(paths: Paths, request: CredentialRequest): Promise<CredentialAnswer | FlywheelError> {
  const client = new DaemonClient(paths);
  const late = new FlywheelError("daemon-unreachable", "the daemon cannot be reached: it did not answer in time", {
    next: "flywheel status",
  });
  try {
    // The client's own patience is no limit here: ours is another clock.
    const answer = client.credential(request, 60_000);
    return await Promise.race([answer, ourTime(patience).then(() => late)]);
  } catch (error) {
    if (error instanceof FlywheelError && (error.code === "daemon-unreachable" || error.code === "runtime-directory-unsafe")) return error;
    throw error;
  }
}

/**
 * Resolves after so much time in which this process could run. Where a machine is so busy that nobody does (200 of these on
 * two cores start for seconds), that is no word about the daemon.
 */
function ourTime(ms: number): Promise<void> {
  const step = 25;
  let left = ms;
  return new Promise((resolve) => {
    const timer = setInterval(() => {
      left -= step;
      if (left > 0) return;
      clearInterval(timer);
      resolve();
    }, step);
  });
}

/** @throws FlywheelError `protocol` for more than a question can be */
async function readAll(): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of process.stdin as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > longestQuestion) throw new FlywheelError("protocol", "what came on standard input is longer than 64 KiB");
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

function fail(message: string, next: string | undefined, code: number): never {
  const words = next === undefined ? message : `${message}; next: ${next}`;
  process.stderr.write(`flywheel-credential-helper: ${printable(words, 1000)}\n`);
  process.exit(code);
}

if (process.argv.length !== 3 || process.argv[2] !== "get") {
  fail('it is called with "get", by Bazel', "flywheel explain -- bazel build //…", Exit.usage);
}
void ourTime(longest).then(() => fail("nobody answered within a second", "flywheel status", Exit.failed));
try {
  const text = await get();
  process.stdout.write(text, () => process.exit(Exit.ok));
} catch (error) {
  // Exit 2 is for how it is called; a question that is malformed is an error of the protocol.
  if (error instanceof FlywheelError) fail(error.message, error.next, Exit.failed);
  fail(`this should not have happened: ${messageOf(error)}`, undefined, Exit.failed);
}
