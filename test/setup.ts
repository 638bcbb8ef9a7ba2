/** Before any test: the bundles are those of these sources, and where CI says so every real peer is here. */
import { execFileSync } from "node:child_process";
import { globSync, statSync } from "node:fs";
import { join } from "node:path";
import { realBazels } from "./fixtures/bazel/real.ts";
import { bazelRemote } from "./fixtures/bazel-remote/bazel-remote.ts";
import { nginx } from "./fixtures/nginx/nginx.ts";
import { type Peer, peersRequired, programOnPath } from "./fixtures/peers.ts";
import { secretServicePrograms } from "./fixtures/secret-service/secret-service.ts";
import { tailnetPeers } from "./fixtures/tailnet/peers.ts";

const root = join(import.meta.dirname, "..");

export default async function setup(): Promise<void> {
  if (isStale()) execFileSync(process.execPath, ["build.ts"], { cwd: root, stdio: ["ignore", "ignore", "inherit"] });
  if (!peersRequired()) return;
  const shells = ["bash", "dash", "busybox", "zsh", "fish"].map(programOnPath);
  const screens = ["tmux", "vim", "less", "htop", "man", "groff", "mandoc"].map(programOnPath);
  const programs = ["openssl", "strace", "systemd-socket-activate", "unshare", "faketime", "script", "nix", "direnv"].map(programOnPath);
  const peers: readonly Peer[] = [
    ...realBazels(),
    nginx(),
    await bazelRemote(),
    ...programs,
    ...secretServicePrograms(),
    ...screens,
    ...shells,
  ];
  const missing = [...peers, await tailnetPeers()].flatMap((peer) => (peer.available ? [] : [peer.reason]));
  if (missing.length > 0) throw new Error(`GF_TEST_REQUIRE_PEERS=1, but ${missing.join("; ")}`);
}

/** Whether dist is older than any source that goes into it. */
function isStale(): boolean {
  const built = statSync(join(root, "dist/bin/flywheel"), { throwIfNoEntry: false });
  if (built === undefined) return true;
  const sources = globSync(["build.ts", "package-lock.json", "{contract,daemon,shim,cli}/**/*"], { cwd: root });
  return sources.some((source) => statSync(join(root, source)).mtimeMs > built.mtimeMs);
}
