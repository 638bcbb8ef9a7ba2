/** A real binary cache: paths built by a real Nix, signed with a real key, served over HTTP below `/main` as Attic does it. */
import { once } from "node:events";
import { chmodSync, createReadStream, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { tmpdir } from "node:os";
import { join, normalize } from "node:path";
import { execa } from "execa";
import { programOnPath } from "../../fixtures/peers.ts";

export interface NixCache {
  /** Without a last slash: `http://127.0.0.1:<port>/main`. */
  readonly url: string;
  /** The same cache by name. */
  readonly byName: string;
  readonly publicKey: string;
  /** The file whose derivations it holds: `nix build -f <file> <name>`. */
  readonly expression: string;
  /** `GET /path` so far. */
  requests(): readonly string[];
  /** What Attic's cache-config says that its key is; undefined, as at first: it is no Attic. */
  serveKey(key: string | undefined): void;
  /** From now on whoever does not say this in the Authorization header gets 401, whatever they ask for. */
  demand(authorization: string | undefined): void;
  /** The Authorization headers that came so far, empty for none. */
  said(): readonly string[];
  /** Every archive breaks off from now on after some bytes. */
  cutArchives(): void;
  stop(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** Derivations of this many names, `p0` and so on. */
export const paths = 6;

/** @param storeDir where the paths belong: that of the machine which will use them */
export async function makeNixCache(storeDir: string): Promise<NixCache> {
  const found = programOnPath("nix");
  if (!found.available) throw new Error(found.reason);
  const dir = mkdtempSync(join(tmpdir(), "gf-nc-"));
  const served = join(dir, "cache");
  chmodSync(dir, 0o755);
  for (const name of ["home", "conf"]) mkdirSync(join(dir, name));
  const env = {
    NIX_STORE_DIR: storeDir,
    NIX_STATE_DIR: join(dir, "state"),
    NIX_LOG_DIR: join(dir, "log"),
    NIX_CONF_DIR: join(dir, "conf"),
    NIX_CONFIG: "experimental-features = nix-command\nsandbox = false\nbuild-users-group =\nsubstituters =",
    HOME: join(dir, "home"),
    PATH: "/usr/bin:/bin",
  };
  const nix = async (args: readonly string[]): Promise<string> =>
    (await execa(found.path, args, { env, extendEnv: false, cwd: dir })).stdout;
  const expression = join(dir, "paths.nix");
  const names = Array.from({ length: paths }, (_, index) => `p${index}`);
  const derivation = (name: string): string =>
    `${name} = derivation { name = "${name}"; system = builtins.currentSystem; builder = "/bin/sh"; args = [ "-c" "echo ${name} of ${dir} > $out" ]; };`;
  writeFileSync(expression, `{ ${names.map(derivation).join(" ")} }\n`);
  const secret = join(dir, "secret");
  writeFileSync(secret, await nix(["key", "generate-secret", "--key-name", "main"]));
  const { stdout: publicKey } = await execa(found.path, ["key", "convert-secret-to-public"], { env, extendEnv: false, inputFile: secret });
  await nix(["build", "--no-link", "-f", expression, ...names]);
  await nix(["copy", "--to", `file://${served}?secret-key=${secret}`, "-f", expression, ...names]);
  // The machine has to take them from here.
  await nix(["store", "delete", "--ignore-liveness", "-f", expression, ...names]);

  const asked: string[] = [];
  const said: string[] = [];
  let demanded: string | undefined;
  let key: string | undefined;
  let cutting = false;
  const open = new Set<Socket>();
  const server = createServer((request, response) => {
    const path = normalize(decodeURIComponent((request.url ?? "/").replace(/\?.*$/, "")));
    asked.push(`${request.method ?? ""} ${path}`);
    const authorization = request.headers.authorization ?? "";
    said.push(authorization);
    if (demanded !== undefined && authorization !== demanded) response.writeHead(401, { "www-authenticate": "Basic realm=cache" }).end();
    else if (path === "/_api/v1/cache-config/main" && key !== undefined) response.end(JSON.stringify({ is_public: true, public_key: key }));
    else if (!path.startsWith("/main/")) response.writeHead(404).end();
    else send(join(served, path.slice("/main".length)), response, request.method === "HEAD", cutting && path.startsWith("/main/nar/"));
  });
  server.on("connection", (socket) => {
    open.add(socket);
    socket.on("close", () => open.delete(socket));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const stop = async (): Promise<void> => {
    if (!server.listening) return;
    server.close();
    for (const socket of open) socket.destroy();
    await once(server, "close");
  };
  return {
    url: `http://127.0.0.1:${port}/main`,
    byName: `http://localhost:${port}/main`,
    publicKey: publicKey.trim(),
    expression,
    requests: () => asked,
    serveKey: (served) => {
      key = served;
    },
    demand: (authorization) => {
      demanded = authorization;
    },
    said: () => said,
    cutArchives: () => {
      cutting = true;
    },
    stop,
    [Symbol.asyncDispose]: async () => {
      await stop();
      await execa("chmod", ["-R", "u+w", dir], { reject: false });
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

function send(file: string, response: ServerResponse, head: boolean, cut: boolean): void {
  const stats = statSync(file, { throwIfNoEntry: false });
  if (stats === undefined || !stats.isFile()) {
    response.writeHead(404).end();
    return;
  }
  response.writeHead(200, { "content-length": stats.size });
  if (head) response.end();
  else if (cut) response.write(readFileSync(file).subarray(0, stats.size / 2), () => response.destroy());
  else createReadStream(file).pipe(response);
}
