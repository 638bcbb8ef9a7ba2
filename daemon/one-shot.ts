/** `flywheeld probe`: judges one endpoint without a daemon, by the rules for what an operator named. */
import type { ProbeReport } from "../contract/api.ts";
import type { Config } from "../contract/config.ts";
import type { Credential } from "../contract/credential.ts";
import { type Endpoint, isClusterService, type Tool } from "../contract/endpoint.ts";
import { FlywheelError } from "../contract/errors.ts";
import type { Paths } from "../contract/paths.ts";
import { loadConfig, loadProfile } from "./api/client/settings.ts";
import { readTrust } from "./api/client/trust.ts";
import { probeReport, turnedDown } from "./api/judge.ts";
import { given, type KeptCredential } from "./credentials/kept.ts";
import { CredentialMemory } from "./credentials/memory.ts";
import { needAt } from "./credentials/needs.ts";
import { judgeOperatorEndpoint } from "./discovery/operator.ts";
import { withheldHere } from "./nix/netrc.ts";
import { NixTrust } from "./nix/trust.ts";
import { defaultTimeoutMs, type OwnNode, ownNode, type ProbeContext } from "./probe/context.ts";
import { sentInPlainText } from "./probe/place.ts";
import { Prober } from "./probe/prober.ts";
import { nixKeys } from "./status.ts";
import { configuredSocket } from "./tailnet/locate.ts";
import { TailnetWatcher } from "./tailnet/watch.ts";

/** For the Tailscale client's answer: milliseconds. */
const tailnetPatience = 1_000;

export interface OneShot {
  readonly kind: Tool;
  readonly endpoint: string;
  /** Both of the fleet's markers stood in the environment of whoever asked. */
  readonly localProof: boolean;
  readonly profile: string;
  /** Sent to the endpoint instead of what is kept for it. */
  readonly credential?: Credential | undefined;
}

/** @throws FlywheelError `config-invalid` where there is no such profile, or a file is malformed */
export async function probeOnce(paths: Paths, request: OneShot): Promise<ProbeReport> {
  const config = loadConfig(paths);
  const profile = loadProfile(paths, request.profile);
  const localProof = request.localProof || config.localProof.allowed;
  const judged = judgeOperatorEndpoint(request.endpoint, request.kind, { from: "environment", localProof, profile });
  if (!judged.ok) return turnedDown(judged.rejection);
  const prober = new Prober();
  const nix = new NixTrust(process.env);
  try {
    const { endpoint } = judged.candidate;
    const kept = await keptFor(paths, request, endpoint);
    // Kubernetes tells each of its pods so.
    const ownCluster = isClusterService(endpoint.host) && (process.env["KUBERNETES_SERVICE_HOST"] ?? "") !== "";
    const context: ProbeContext = {
      timeoutMs: defaultTimeoutMs,
      localProof,
      tailnet: sentInPlainText(endpoint, { kept, ownCluster }) ? await tailnetOf(config) : undefined,
      ownCluster,
      nixKeys: nixKeys(profile, readTrust(paths)),
      nix: {
        storeDir: nix.place.storeDir,
        honour: (question) => nix.honour(question),
        withheld: withheldHere(nix.place, process.env, profile.nix.netrc),
      },
      instanceName: profile.bazel.instanceName,
      kept,
      profile: request.profile,
    };
    const report = probeReport(judged.candidate.endpoint.url, await prober.probe(judged.candidate, context));
    if (!report.ok || request.credential === undefined) return report;
    return { ...report, needed: await needAt(prober, judged.candidate, context) };
  } finally {
    await prober.close();
  }
}

/** Without TLS a secret goes only through a tailnet, which nothing else of such a probe asks about. */
async function tailnetOf(config: Config): Promise<OwnNode | undefined> {
  const watcher = new TailnetWatcher({ socket: configuredSocket(process.env, config), onChange: () => {}, timeoutMs: tailnetPatience });
  try {
    return ownNode(await watcher.refresh());
  } finally {
    await watcher.close();
  }
}

/** What was given with the request, else what is kept, as the daemon would use it. */
async function keptFor(paths: Paths, { credential, profile }: OneShot, endpoint: Endpoint): Promise<KeptCredential | undefined> {
  if (credential !== undefined) return given(credential);
  const memory = new CredentialMemory({ paths, env: process.env, onLate: () => {} });
  try {
    memory.load();
    return await memory.kept(profile, [endpoint]);
  } catch (error) {
    // An index that nobody can read names no login: `flywheel doctor` says what is wrong with it.
    if (error instanceof FlywheelError) return undefined;
    throw error;
  } finally {
    memory.close();
  }
}
