/** A machine to prove Bazel's cache on: a real Bazel, a real bazel-remote, and a workspace whose rc keeps Bazel's own files here. */
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { StatusReport } from "../../../contract/api.ts";
import type { ProofRecord } from "../../../contract/proof/record.ts";
import { removeBazelRoot, startupOptions } from "../../fixtures/bazel/run.ts";
import { makeWorkspace, type Workspace } from "../../fixtures/bazel/workspace.ts";
import { type RunningBazelRemote, startBazelRemote } from "../../fixtures/bazel-remote/bazel-remote.ts";
import { standInTailnet } from "../../fixtures/localapi/state.ts";
import { makeStage, type Ran, type Stage } from "../../fixtures/stage.ts";

export interface Proved extends Ran {
  readonly record: ProofRecord;
}

export interface BazelMachine {
  /** Bazel's output user root; the workspace, the tools and everything else beside them lie below it too. */
  readonly root: string;
  readonly stage: Stage;
  /** The cache that a running build was given, or else is attached, and the other one, which is a candidate only where asked for. */
  caches(): Promise<{ readonly attached: RunningBazelRemote; readonly spare: RunningBazelRemote }>;
  readonly workspace: Workspace;
  /** Lines of the workspace's .bazelrc, behind those that keep Bazel here; none takes the earlier ones away. */
  rc(lines: readonly string[]): void;
  /** Words that a wrapper of Bazel adds to every build, which no guard sees. */
  behindTheGuard(words: readonly string[]): void;
  /**
   * Whether the profile lets this machine fill the cache, from now on; and whether its ports name the spare cache too: of two
   * equals the daemon may take the faster one at any time.
   */
  uploads(uploads: "allowed" | "forbidden", spare?: "beside it"): Promise<void>;
  /** `flywheel proof --json …` in the workspace. */
  prove(words: readonly string[], env?: Readonly<Record<string, string>>): Promise<Proved>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** @param paths the programs, as the fixtures found them */
export async function makeBazelMachine(paths: { readonly bazel: string; readonly bazelRemote: string }): Promise<BazelMachine> {
  const root = mkdtempSync(join(tmpdir(), "gf-pf-"));
  const tools = join(root, "tools");
  mkdirSync(tools);
  const more = join(root, "more-words");
  writeFileSync(join(tools, "bazel"), wrapper(paths.bazel, more));
  chmodSync(join(tools, "bazel"), 0o755);
  const both = [await startBazelRemote(paths.bazelRemote), await startBazelRemote(paths.bazelRemote)];
  const nodes = [{ name: "cache", addresses: ["127.0.0.1"], tags: ["tag:bazel-cache"] }];
  const grpcPorts = both.map(({ grpcUrl }) => Number(new URL(grpcUrl).port));
  const stage = await makeStage([tools], { grpcPorts: grpcPorts.slice(0, 1), httpPorts: [], tailnet: { nodes } });
  const workspace = makeWorkspace(join(root, "workspace"), { targets: 3 });
  const startup = startupOptions(root, "users-own").map((option) => `startup ${option}`);
  const rc: BazelMachine["rc"] = (lines) => writeFileSync(join(workspace.dir, ".bazelrc"), `${[...startup, ...lines].join("\n")}\n`);
  rc([]);
  const profile = join(stage.env["GF_CONFIG_DIR"] ?? "", "profiles/default.toml");
  const uploads: BazelMachine["uploads"] = async (asked, spare) => {
    const ports = spare === undefined ? grpcPorts.slice(0, 1) : grpcPorts;
    writeFileSync(
      profile,
      `[tailnet]\nname = "${standInTailnet.name}"\nmagic_dns_suffix = "${standInTailnet.suffix}"\n[bazel]\ngrpc_ports = [${ports.join(", ")}]\nupload = ${asked === "allowed"}\n`,
    );
    await stage.flywheel(["up"]);
  };
  return {
    root,
    stage,
    caches: async () => {
      const { bazel, running } = JSON.parse((await stage.flywheel(["status", "--json"])).stdout) as StatusReport;
      const endpoint = running[0]?.endpoint ?? bazel.endpoint;
      const attached = both.find(({ grpcUrl }) => grpcUrl === endpoint);
      const spare = both.find((each) => each !== attached);
      if (attached === undefined || spare === undefined) throw new Error(`attached is ${String(bazel.endpoint)}: ${String(bazel.reason)}`);
      return { attached, spare };
    },
    workspace,
    rc,
    behindTheGuard: (words) => (words.length === 0 ? rmSync(more, { force: true }) : writeFileSync(more, `${words.join(" ")}\n`)),
    uploads,
    prove: async (words, env = {}) => {
      const run = await stage.flywheel(["proof", "--json", ...words], { cwd: workspace.dir, env });
      return { ...run, record: JSON.parse(run.stdout) as ProofRecord };
    },
    [Symbol.asyncDispose]: async () => {
      await stage.dispose();
      await removeBazelRoot(root);
      for (const cache of both) await cache.stop();
    },
  };
}

/** What many have as their `bazel`: a script that runs the real one with some words more, before a `--`. */
function wrapper(bazel: string, more: string): string {
  return `#!/bin/bash
args=("$@"); more=()
[ -e ${more} ] && read -ra more < ${more}
for at in "\${!args[@]}"; do
  [ "\${args[$at]}" = -- ] && exec ${bazel} "\${args[@]:0:$at}" "\${more[@]}" "\${args[@]:$at}"
done
exec ${bazel} "$@"
`;
}
