/** A record for a person. */
import type { ProofRecord } from "../../contract/proof/record.ts";
import { printable } from "../../contract/text.ts";
import { duration } from "../../contract/words.ts";
import type { Paint } from "../output/paint.ts";

export function viewProof(record: ProofRecord, paint: Paint): string {
  const { proved, productEvidence, parts, bazel, nix, ci, reasons, shown, notShown, mode, profileState, tookMs } = record;
  const verdict = proved ? paint.green(productEvidence ? "proved" : "proved, locally") : paint.red("not proved");
  const lines = [`  ${parts.join(" and ")}: ${verdict} in ${duration(tookMs)} (${mode}, ${profileState})`];
  const row = (name: string, value: string): void => void lines.push(`  ${name.padEnd(9)}  ${printable(value, 600)}`);
  const words = (cache: NonNullable<typeof bazel>["endpoint"]): string =>
    cache === null ? "not attached" : `${cache.url} by ${cache.by ?? cache.source}`;
  if (bazel !== null) {
    row("bazel", `${words(bazel.endpoint)}, Bazel ${bazel.version ?? "(no version)"}`);
    for (const [name, build] of [
      ["fill", bazel.fill],
      ["rebuild", bazel.rebuild],
    ] as const) {
      if (build === null) continue;
      const { processes, exitCode, wallMs } = build;
      const counted =
        processes === null ? "nothing counted" : `${processes.hits} hits of ${processes.hits + processes.other + processes.misses}`;
      row(name, `${counted}, ${duration(wallMs)}, exit ${exitCode}`);
    }
  }
  if (nix !== null) {
    row("nix", `${words(nix.endpoint)}${nix.version === null ? "" : `, Nix ${nix.version}`}`);
    if (nix.path !== null) row("path", `${nix.path.path}, signature ${nix.signature}`);
  }
  for (const { part, message, next } of reasons) {
    row("why not", `${part}: ${message}`);
    if (next !== null) row("  next", next);
  }
  for (const each of shown) row("shown", each);
  for (const each of notShown) row("not shown", each);
  for (const { what, here, ci: there, verdict: kind } of ci?.lines ?? []) {
    if (kind !== "same") row(kind, `${what}: ${here} here, ${there} in CI`);
  }
  return lines.join("\n");
}
