import { realpathSync } from "node:fs";
import { examine } from "../../contract/ci/examine.ts";
import { readRepository } from "../../contract/ci/repository.ts";
import { Exit } from "../../contract/exit.ts";
import { printable } from "../../contract/text.ts";
import { loadProfile } from "../../daemon/api/client/settings.ts";
import { findWorkspace } from "../../shim/scope.ts";
import { defineCommand } from "../command.ts";
import { hereOf } from "../parity/here.ts";
import { readRcFiles } from "../parity/rc.ts";
import { repositoryTree } from "../parity/tree.ts";
import { viewParity } from "../parity/view.ts";
import { readStatus } from "../status/report.ts";

export default defineCommand({
  name: "parity",
  summary: "put this machine beside the CI of the repository here, line by line",
  details:
    "Reads the repository as it stands: GitHub workflows with the actions and workflows of its own, .gitlab-ci.yml with its local includes, flake.nix, rc files, Justfiles, .envrc, documentation. Runs nothing of it, asks no forge and no cache. What only the forge knows is named as unknown, and is no drift.",
  options: {},
  examples: [
    { line: "flywheel parity", does: "same, on purpose, unknown, and drift with file and line" },
    { line: "flywheel parity --json", does: "the same as data; ok is false where something drifts" },
  ],
  exits: [{ code: Exit.failed, means: "something drifts" }],
  async run(context, _values, _args) {
    const { env, cwd, home, paths, output } = context;
    const profile = loadProfile(paths, context.profile);
    const root = realpathSync(findWorkspace(cwd, env["PWD"]).root);
    const tree = repositoryTree(root);
    const rc = readRcFiles(root, tree, env["HOME"] || home);
    const status = await readStatus(paths, context.profile);
    const here = hereOf(env, { status, profile, rc: rc.here });
    const report = examine({ profile, repository: readRepository(tree, rc.repository, rc.nested), here }, printable(root, 400));
    if (output.format === "json") output.json(report);
    else output.line(viewParity(report, output.paint, output.columns ?? 80));
    return report.ok ? Exit.ok : Exit.failed;
  },
});
