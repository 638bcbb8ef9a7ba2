/** What a call of flywheel-credential-helper costs, one by one and 200 at once, beside a Node script that does nothing. */
import { execFile } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { logIn } from "../fixtures/credentials/login.ts";
import { built, makeStage } from "../fixtures/stage.ts";
import { measure, median } from "./measure.ts";

/** As many as a build that has just begun may start at once. */
const many = 200;
const run = promisify(execFile);

const stage = await makeStage([], { grpcPorts: [], httpPorts: [] });
try {
  await stage.flywheel(["up"]);
  await logIn(stage, { endpoint: "grpcs://cache.example:9092", secret: "not-a-secret", legacyHeader: false });
  const question = join(stage.dir, "question");
  writeFileSync(question, '{"uri":"https://cache.example:9092/x"}');
  const empty = join(stage.dir, "empty.mjs");
  writeFileSync(empty, "");
  const helper = join(built.flywheel, "../flywheel-credential-helper");
  /** Bazel has the question waiting on standard input. */
  const asked = (...argv: readonly string[]) => ["/bin/sh", "-c", `exec "$@" <${question}`, "sh", ...argv] as const;
  const subject = (name: string, argv: readonly [string, ...string[]]) => ({ name, argv, env: stage.env, cwd: stage.dir });
  const rows = measure(
    [subject("an empty Node script", asked(process.execPath, empty)), subject("flywheel-credential-helper get", asked(helper, "get"))],
    { rounds: 11, batch: 5 },
  );
  const [nothing = Number.NaN, call = Number.NaN] = rows.map(({ rounds }) => median(rounds));
  process.stdout.write(
    `one by one: ${call.toFixed(1)} ms, an empty Node script ${nothing.toFixed(1)} ms, ${(call / nothing).toFixed(2)} ×\n`,
  );

  const storms = { nothing: [] as number[], call: [] as number[] };
  for (let round = -1; round < 3; round += 1) {
    const took = { nothing: await storm(asked(process.execPath, empty)), call: await storm(asked(helper, "get")) };
    if (round < 0) continue;
    storms.nothing.push(took.nothing);
    storms.call.push(took.call);
  }
  const [alone, all] = [median(storms.nothing), median(storms.call)];
  process.stdout.write(
    `${many} at once: ${(all / many).toFixed(1)} ms a call, empty Node scripts ${(alone / many).toFixed(1)} ms, ${(all / alone).toFixed(2)} ×\n`,
  );
} finally {
  await stage.dispose();
}

/** Milliseconds for all of them; one that gives up ends the measurement. */
async function storm([file, ...args]: readonly [string, ...string[]]): Promise<number> {
  const began = performance.now();
  await Promise.all(Array.from({ length: many }, () => run(file, args, { env: stage.env, cwd: stage.dir })));
  return performance.now() - began;
}
