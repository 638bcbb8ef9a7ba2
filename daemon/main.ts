/** flywheeld: `run`, `probe` for a single verdict without a daemon, and `secrets`, which the daemon calls. Internal: `flywheel` is what people call. */
import { closeSync, readFileSync, writeSync } from "node:fs";
import { homedir } from "node:os";
import { parseArgs } from "node:util";
import type { StartResult } from "../contract/api.ts";
import { FlywheelError, messageOf } from "../contract/errors.ts";
import { pathsFrom } from "../contract/paths.ts";
import { takeHandedSocket } from "./handed.ts";
import { closeInherited } from "./inherited.ts";

const usage =
  "usage: flywheeld run [--ready-fd N] [--service] | flywheeld probe --kind bazel|nix --endpoint URL [--local-proof] [--profile NAME] [--credential-stdin]";

async function main(argv: readonly string[]): Promise<number> {
  const paths = pathsFrom(process.env, homedir());
  const [command, ...args] = argv;
  switch (command) {
    case "run": {
      const { values } = parseArgs({
        args,
        options: { "ready-fd": { type: "string", default: "1" }, service: { type: "boolean", default: false } },
      });
      const fd = Number(values["ready-fd"]);
      if (!Number.isInteger(fd) || fd < 1) throw new FlywheelError("usage", usage);
      const handed = takeHandedSocket(process.env);
      if (fd > 2) closeInherited(fd);
      const { run } = await import("./run.ts");
      return run(paths, process.env, (result) => tell(fd, result), { startedBy: values.service ? "service" : "flywheel", handed });
    }
    case "probe": {
      const { values } = parseArgs({
        args,
        options: {
          kind: { type: "string" },
          endpoint: { type: "string" },
          "local-proof": { type: "boolean", default: false },
          profile: { type: "string", default: "default" },
          "credential-stdin": { type: "boolean", default: false },
        },
      });
      const { kind, endpoint, profile } = values;
      if ((kind !== "bazel" && kind !== "nix") || endpoint === undefined) throw new FlywheelError("usage", usage);
      const { readCredential } = await import("../contract/credential-wire.ts");
      const credential = values["credential-stdin"] ? readCredential(readFileSync(0, "utf8")) : undefined;
      const { probeOnce } = await import("./one-shot.ts");
      const report = await probeOnce(paths, { kind, endpoint, profile, localProof: values["local-proof"], credential });
      writeSync(1, `${JSON.stringify(report)}\n`);
      return report.ok ? 0 : 1;
    }
    // The daemon's own: reads the secrets of the logins that standard input names.
    case "secrets": {
      const generations: unknown = JSON.parse(readFileSync(0, "utf8"));
      if (!Array.isArray(generations) || !generations.every((each) => typeof each === "string")) throw new FlywheelError("usage", usage);
      const { readSecrets } = await import("./credentials/read-secrets.ts");
      await readSecrets(paths, generations, (secret) => void writeSync(1, `${JSON.stringify(secret)}\n`));
      return 0;
    }
    default:
      throw new FlywheelError("usage", usage);
  }
}

/** One line to whoever waits for the start; that they may have gone is no reason to fail. */
function tell(fd: number, result: StartResult): void {
  try {
    writeSync(fd, `${JSON.stringify(result)}\n`);
    // fd 3 is the parent's pipe: whoever holds it open keeps the parent waiting.
    if (fd > 2) closeSync(fd);
  } catch {
    // EPIPE: the parent did not wait.
  }
}

// Node asks for it at every connection, and with it believes any server's certificate: what is sent here may be a secret.
delete process.env["NODE_TLS_REJECT_UNAUTHORIZED"];
try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`flywheeld: ${messageOf(error)}\n`);
  process.exitCode = error instanceof FlywheelError && error.code !== "usage" ? 1 : 2;
}
// Warm connections and timers of a daemon that has stopped hold nothing up.
process.exit();
