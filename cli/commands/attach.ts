import { hasLocalProof } from "../../contract/environment.ts";
import { Exit } from "../../contract/exit.ts";
import { printable } from "../../contract/text.ts";
import { latency } from "../../contract/words.ts";
import { defineCommand } from "../command.ts";
import { runningDaemon } from "../daemon.ts";
import { endpointFrom } from "../endpoint.ts";
import { waitingFor } from "../output/progress.ts";

export default defineCommand({
  name: "attach",
  summary: "name an endpoint yourself; it is kept, and still has to prove itself",
  details:
    "It is kept for the profile until `flywheel detach`, which forgets all of them. Loopback is taken only as a local proof: with GF_BAZEL_LOCAL_PROOF=port-forward and GF_BAZEL_ALLOW_LOCALHOST_PROOF=true in the environment.",
  arguments: [
    {
      name: "<endpoint>",
      summary: "grpc, grpcs, http or https URL; for Nix http or https with the cache's name as path",
      completes: "endpoint",
    },
  ],
  options: { kind: { flag: "--kind <kind>", summary: "bazel or nix (bazel)", choices: ["bazel", "nix"] } },
  examples: [
    { line: "flywheel attach grpc://cache.example.ts.net:9092", does: "a Bazel remote cache" },
    { line: "flywheel attach --kind nix https://nix-cache.example.org/main", does: "a Nix binary cache" },
  ],
  exits: [{ code: Exit.failed, means: "the endpoint is no endpoint, or it did not prove itself" }],
  async run({ env, paths, profile, output }, options, [text = ""]) {
    const kind = options.kind ?? "bazel";
    const endpoint = endpointFrom(text, kind, "attach").url;
    const request = { profile, kind, endpoint, localProof: hasLocalProof(env) };
    const outcome = await waitingFor(output, "proving the endpoint", async () => (await runningDaemon(paths)).attach(request));
    if (output.format === "json") output.json({ schema: 1, ...outcome });
    else if (outcome.ok) output.line(`${outcome.endpoint} proved itself in ${latency(outcome.latencyMs)}`);
    else {
      output.line(`${printable(outcome.endpoint)} is kept, but not attached: ${outcome.rung}: ${printable(outcome.reason)}`);
      if (outcome.next !== null) output.line(`  next: ${printable(outcome.next)}`);
      output.line("  next: flywheel detach && flywheel up   (forgets it, and every other that was attached by hand)");
    }
    return outcome.ok ? Exit.ok : Exit.failed;
  },
});
