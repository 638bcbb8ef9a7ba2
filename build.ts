/** Builds dist/: the bundles, the sh launcher and the shim. Run by npm's `prepare`, so that `npm ci` leaves it ready to use. */
import { existsSync } from "node:fs";
import { chmod, cp, mkdir, readdir, rename, rm, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { type ChunkingContext, type Plugin, rolldown } from "rolldown";
import { completionFiles, completionShells, completionText } from "./cli/completion/text.ts";
import { manualPage } from "./cli/man/page.ts";
import { promptScript, promptText } from "./cli/prompt/script.ts";
import { allCommands } from "./cli/registry.ts";
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

/** The manual and the completions, where a prefix's share/ has them. The page has a date only where SOURCE_DATE_EPOCH tells one. */
async function writeShare(share: string): Promise<void> {
  const commands = await allCommands();
  const epoch = process.env["SOURCE_DATE_EPOCH"];
  const date = epoch !== undefined && /^\d{1,12}$/.test(epoch) ? new Date(Number(epoch) * 1000).toISOString().slice(0, 10) : "";
  const texts = [
    ["man/man1/flywheel.1", manualPage(commands, date)],
    [`man/man1/${promptScript}.1`, ".so man1/flywheel.1\n"],
    ...completionShells.map((shell) => [completionFiles[shell], completionText(shell, commands)] as const),
  ] as const;
  for (const [file, text] of texts) {
    await mkdir(dirname(join(share, file)), { recursive: true });
    await writeFile(join(share, file), text);
  }
}

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

/** Of node-pty only what is native: the rest (its streams lose output that nobody has read 200 ms after the end) is ours, cli/shell/pty.ts. */
async function copyPty(to: string): Promise<void> {
  const scope = join(root, "node_modules/@lydell");
  const installed = await readdir(scope).catch((error: NodeJS.ErrnoException) => {
    // Without npm's optional dependencies there is none: then `flywheel shell` says so, and all else works.
    if (error.code === "ENOENT") return [];
    throw error;
  });
  for (const name of installed) {
    const target = /^node-pty-((?:linux|darwin)-\w+)$/.exec(name)?.[1];
    if (target === undefined) continue;
    for (const file of ["pty.node", "spawn-helper"]) {
      const source = join(scope, name, file);
      if (!existsSync(source)) continue;
      await cp(source, join(to, target, file));
      if (file === "spawn-helper") await chmod(join(to, target, file), 0o755);
    }
  }
}

/** The keyring's native part, for each platform that npm installed one for. */
async function copyKeyring(to: string): Promise<void> {
  const scope = join(root, "node_modules/@napi-rs");
  const installed = await readdir(scope).catch((error: NodeJS.ErrnoException) => {
    // Without npm's optional dependencies there is none: then `flywheel login` says so, and all else works.
    if (error.code === "ENOENT") return [];
    throw error;
  });
  for (const name of installed) {
    const target = /^keyring-((?:linux|darwin)-[\w-]+)$/.exec(name)?.[1];
    if (target !== undefined) await cp(join(scope, name, `keyring.${target}.node`), join(to, target, "keyring.node"));
  }
}

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
// Called anew for each question, so with nothing that the others load.
const helper = await rolldown({
  cwd: root,
  input: { "credential-helper": "cli/credential-helper.ts" },
  platform: "node",
  plugins: [builtins],
});
await helper.write({ dir: join(fresh, "lib"), format: "esm", entryFileNames: "[name].js", chunkFileNames: "helper-[name]-[hash].js" });
await helper.close();
await cp(join(root, "daemon/probe/proto"), join(fresh, "lib/proto"), { recursive: true });
// What the shells of `flywheel shell` read, and the native parts of node-pty and the keyring, each for its platform: found beside the bundles.
await cp(join(root, "cli/shell/start"), join(fresh, "lib/shell"), { recursive: true });
await cp(join(root, "nix/shell-hook.sh"), join(fresh, "lib/shell/shell-hook.sh"));
await copyPty(join(fresh, "lib/pty"));
await copyKeyring(join(fresh, "lib/keyring"));
await cp(join(root, "cli/start.cjs"), join(fresh, "lib/start.cjs"));
await writeFile(join(fresh, "lib/package.json"), `${JSON.stringify({ type: "module" })}\n`);
for (const name of ["flywheel", "flywheel-credential-helper"]) {
  await cp(join(root, "cli/launcher.sh"), join(fresh, "bin", name));
  await chmod(join(fresh, "bin", name), 0o755);
}
await writeFile(join(fresh, "bin", promptScript), promptText(), { mode: 0o755 });
await writeShim(fresh);
await writeShare(join(fresh, "share"));
await symlink(`../bin/${promptScript}`, join(fresh, "shim", promptScript));

await rename(dist, stale).catch((error: NodeJS.ErrnoException) => {
  if (error.code !== "ENOENT") throw error;
});
await rename(fresh, dist);
await rm(stale, { recursive: true, force: true });
