/** How the daemon's program is run, as the daemon itself, as the prober of one endpoint and as the reader of secrets. */
import { fileURLToPath } from "node:url";
import type { Paths } from "../../../contract/paths.ts";

/**
 * The daemon allocates little at a time: a young generation of 1 MiB (V8's own is up to 16) keeps 5 MiB
 * less resident, measured with 200 peers and one gRPC attachment. Node opens its inspector at SIGUSR1, on a port of
 * loopback that every user of the machine can reach, and who reaches it can read the secrets in memory: not here.
 */
export const nodeFlags = ["--disable-warning=ExperimentalWarning", "--max-semi-space-size=1", "--disable-sigusr1"] as const;

/**
 * For glibc's malloc (mallopt(3); other C libraries take no notice): it has an arena for every thread or two and gives little
 * back. With one arena, and blocks from 64 KiB on mapped by themselves, the daemon has 91 MiB resident instead of 106 after
 * 1,800 guarded commands, with 200 peers and one gRPC attachment.
 */
export const allocation = { MALLOC_ARENA_MAX: "1", MALLOC_MMAP_THRESHOLD_: "65536", MALLOC_TRIM_THRESHOLD_: "65536" } as const;

/** Bundled, all of dist/lib is one directory; in the source tree the daemon's script lies two levels up. */
export const ownEntry = fileURLToPath(new URL(import.meta.url.endsWith(".ts") ? "../../main.ts" : "./flywheeld.js", import.meta.url));

/** What the program may know of whoever started it: the session's bus leads to its keyring. PATH is fixed: it is for `tailscale` alone. */
const inherited = [
  ...["HOME", "USER", "LOGNAME", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME"],
  ...["DBUS_SESSION_BUS_ADDRESS", "GF_TAILSCALED_SOCKET"],
  // A pod's word that it is one (daemon/one-shot.ts).
  "KUBERNETES_SERVICE_HOST",
  // Where this machine's Nix lives, if not in its usual place (daemon/nix/place.ts).
  ...["NIX_STORE_DIR", "NIX_STATE_DIR", "NIX_CONF_DIR", "NIX_DAEMON_SOCKET_PATH"],
] as const;
export const systemPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/run/current-system/sw/bin:/opt/homebrew/bin";

/**
 * The environment of the program. Nothing comes along that says whom TLS believes (NODE_TLS_REJECT_UNAUTHORIZED,
 * NODE_EXTRA_CA_CERTS, SSL_CERT_FILE), what Node loads (NODE_OPTIONS) or where connections go (proxies): it sends secrets.
 * @param paths told outright, so that it looks at the very directories that were asked for
 */
export function programEnvironment(paths: Paths, env: Readonly<Record<string, string | undefined>>): Record<string, string> {
  const kept = inherited.flatMap((name) => {
    const value = env[name];
    return value === undefined ? [] : [[name, value] as const];
  });
  return {
    ...Object.fromEntries(kept),
    GF_RUNTIME_DIR: paths.runtime,
    GF_CONFIG_DIR: paths.config,
    GF_STATE_DIR: paths.state,
    LANG: "C.UTF-8",
    PATH: systemPath,
    ...allocation,
  };
}
