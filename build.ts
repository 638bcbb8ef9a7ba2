/** Builds dist/: the bundles, the sh launcher and the shim. Run by npm's `prepare`, so that `npm ci` leaves it ready to use. */
import { chmod, cp, mkdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { rolldown } from "rolldown";
import { writeShim } from "./shim/write.ts";

const root = import.meta.dirname;
const dist = join(root, "dist");
// Built beside and swapped in at the end, so that whoever runs dist/ meanwhile never meets half of it.
const fresh = join(root, ".cache", `dist-${process.pid}`);
const stale = `${fresh}-old`;

await rm(fresh, { recursive: true, force: true });
await mkdir(join(fresh, "bin"), { recursive: true });

const bundle = await rolldown({
  cwd: root,
  input: { main: "cli/main.ts", flywheeld: "daemon/main.ts" },
  platform: "node",
  // CommonJS packages (write-file-atomic) look at these two, which an ES module does not have.
  transform: { define: { "process.env.NODE_ENV": '"production"', __filename: "import.meta.filename", __dirname: "import.meta.dirname" } },
  onLog(level, log, handle) {
    // protobufjs and its kind use eval to look for optional modules; nothing of ours does.
    if (log.code === "EVAL" && log.id?.includes("node_modules") === true) return;
    handle(level, log);
  },
});
await bundle.write({ dir: join(fresh, "lib"), format: "esm", entryFileNames: "[name].js", chunkFileNames: "[name]-[hash].js" });
await bundle.close();
await cp(join(root, "daemon/probe/proto"), join(fresh, "lib/proto"), { recursive: true });
await cp(join(root, "cli/start.cjs"), join(fresh, "lib/start.cjs"));
await writeFile(join(fresh, "lib/package.json"), `${JSON.stringify({ type: "module" })}\n`);
await cp(join(root, "cli/launcher.sh"), join(fresh, "bin/flywheel"));
await chmod(join(fresh, "bin/flywheel"), 0o755);
await writeShim(join(fresh, "shim"));

await rename(dist, stale).catch((error: NodeJS.ErrnoException) => {
  if (error.code !== "ENOENT") throw error;
});
await rename(fresh, dist);
await rm(stale, { recursive: true, force: true });
