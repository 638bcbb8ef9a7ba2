/** Builds dist/: the bundles, the sh launcher and the shim. Run by npm's `prepare`, so that `npm ci` leaves it ready to use. */
import { chmod, cp, mkdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type ChunkingContext, type Plugin, rolldown } from "rolldown";
import { writeShim } from "./shim/write.ts";

const root = import.meta.dirname;
const dist = join(root, "dist");
// Built beside and swapped in at the end, so that whoever runs dist/ meanwhile never meets half of it.
const fresh = join(root, ".cache", `dist-${process.pid}`);
const stale = `${fresh}-old`;

/**
 * Takes Node's own modules by process.getBuiltinModule instead of importing them. An import reads every
 * export of such a module, and some of these load more of Node: WebSocket of node:http brings the whole
 * of fetch, 30 ms of a start and 10 MiB of the daemon.
 */
const builtins: Plugin = {
  name: "builtins",
  renderChunk(code) {
    const taken = code.replace(
      /^import ([\w$]+|\* as [\w$]+)?(?:, )?(?:\{([^}]*)\})? from "(node:[^"]+)";$/gm,
      (_line, whole: string | undefined, named: string | undefined, name: string) =>
        [whole?.replace("* as ", ""), named === undefined ? undefined : `{${named.replaceAll(" as ", ": ")}}`]
          .filter((binding) => binding !== undefined)
          .map((binding) => `const ${binding} = process.getBuiltinModule("${name}");`)
          .join(" "),
    );
    if (/^(?:im|ex)port .*"node:/m.test(taken)) throw new Error("a bundle still imports one of Node's own modules");
    return taken;
  },
};

await rm(fresh, { recursive: true, force: true });
await mkdir(join(fresh, "bin"), { recursive: true });

/** Of undici only the parts that the daemon calls: its index brings fetch, mocks and more, 3 MiB of the daemon. A name that is missing here fails the build. */
const undiciParts: Plugin = {
  name: "undici-parts",
  resolveId(id) {
    if (id === "undici") return "\0undici-parts";
    return null;
  },
  load(id) {
    if (id !== "\0undici-parts") return null;
    const path = (file: string) => JSON.stringify(join(root, "node_modules/undici/lib", file));
    return `import Client from ${path("dispatcher/client.js")};
import Dispatcher from ${path("dispatcher/dispatcher.js")};
import Pool from ${path("dispatcher/pool.js")};
import errors from ${path("core/errors.js")};
import request from ${path("api/api-request.js")};
// As undici's index does.
Object.assign(Dispatcher.prototype, { request });
export { Client, Pool, errors };
`;
  },
};

/** What `flywheel status` always loads lies in one file, since each more costs a start 1 ms. */
const onStatusPath = new Set<string>();
function follow(id: string, graph: ChunkingContext): void {
  const known = graph.getModuleInfo(id);
  if (known === null || onStatusPath.has(id)) return;
  onStatusPath.add(id);
  for (const imported of known.importedIds) follow(imported, graph);
}
function commonChunk(id: string, graph: ChunkingContext): string | null {
  if (onStatusPath.size === 0) {
    const entry = graph.getModuleInfo(join(root, "cli/main.ts"));
    const loaded = ["cli/parse.ts", "cli/registry.ts", "cli/commands/status.ts"].map((file) => join(root, file));
    for (const first of [...(entry?.importedIds ?? []), ...loaded]) follow(first, graph);
  }
  return onStatusPath.has(id) ? "common" : null;
}

const bundle = await rolldown({
  cwd: root,
  input: { main: "cli/main.ts", flywheeld: "daemon/main.ts" },
  platform: "node",
  // Ink asks for it only under DEV=true, and goes on where it is not installed.
  external: ["react-devtools-core"],
  // CommonJS packages (write-file-atomic) look at these two, which an ES module does not have.
  transform: { define: { "process.env.NODE_ENV": '"production"', __filename: "import.meta.filename", __dirname: "import.meta.dirname" } },
  plugins: [builtins, undiciParts],
  onLog(level, log, handle) {
    // protobufjs and its kind use eval to look for optional modules; nothing of ours does.
    if (log.code === "EVAL" && log.id?.includes("node_modules") === true) return;
    handle(level, log);
  },
});
await bundle.write({
  dir: join(fresh, "lib"),
  format: "esm",
  entryFileNames: "[name].js",
  chunkFileNames: "[name]-[hash].js",
  codeSplitting: { groups: [{ name: commonChunk, debugName: "common" }] },
});
await bundle.close();
await cp(join(root, "daemon/probe/proto"), join(fresh, "lib/proto"), { recursive: true });
await cp(join(root, "cli/start.cjs"), join(fresh, "lib/start.cjs"));
await writeFile(join(fresh, "lib/package.json"), `${JSON.stringify({ type: "module" })}\n`);
await cp(join(root, "cli/launcher.sh"), join(fresh, "bin/flywheel"));
await chmod(join(fresh, "bin/flywheel"), 0o755);
await writeShim(fresh);

await rename(dist, stale).catch((error: NodeJS.ErrnoException) => {
  if (error.code !== "ENOENT") throw error;
});
await rename(fresh, dist);
await rm(stale, { recursive: true, force: true });
