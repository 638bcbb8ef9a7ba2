/** What a prompt costs, as whole processes beside the least that any could: `/bin/true`, and a dash that does nothing. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { serializePublished } from "../../contract/published.ts";
import { built } from "../fixtures/stage.ts";
import { alive } from "../shim/house.ts";
import { measure, median } from "./measure.ts";

/** Milliseconds for a whole process (issue: `prompt` in under 2 ms). */
const budget = 2;

const runtime = mkdtempSync(join(tmpdir(), "gf-prompt-"));
try {
  mkdirSync(join(runtime, "attachment/default"), { recursive: true, mode: 0o700 });
  // The lease outlives the measurement by as much as any may.
  const now = alive();
  writeFileSync(join(runtime, "attachment/default/bazel"), serializePublished({ ...now, validUntil: now.verified + 60 }), { mode: 0o600 });
  const env = { HOME: runtime, PATH: "/usr/bin:/bin", GF_RUNTIME_DIR: runtime };
  const script = join(built.flywheel, "../flywheel-prompt");
  const subject = (name: string, argv: readonly [string, ...string[]]) => ({ name, argv, env, cwd: runtime });
  const rows = measure(
    [
      subject("/bin/true", ["/bin/true"]),
      subject("dash -c :", ["/bin/dash", "-c", ":"]),
      subject("flywheel-prompt", [script]),
      subject("flywheel prompt", [built.flywheel, "prompt"]),
      subject("flywheel prompt, by the shim's link", [join(built.shim, "flywheel"), "prompt"]),
      subject("flywheel-prompt --color bash --format", [script, "--color", "bash", "--format", "%i %s/%n %h"]),
    ],
    { rounds: 15, batch: 100 },
  );
  const least = median(rows[1]?.rounds ?? []);
  for (const { name, rounds } of rows) {
    const ms = median(rounds);
    const verdict = name.startsWith("flywheel") ? `   budget <= ${budget} ms  ${ms <= budget ? "within" : "OVER"}` : "";
    process.stdout.write(`${name.padEnd(40)} ${ms.toFixed(2)} ms   ${(ms / least).toFixed(1)} × dash${verdict}\n`);
  }
} finally {
  rmSync(runtime, { recursive: true, force: true });
}
