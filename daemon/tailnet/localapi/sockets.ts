/**
 * Where tailscaled listens (tailscale: paths/paths.go). The macOS GUI variants have no socket: for
 * those there is the command line (command.ts).
 */
export function systemSocket(platform: NodeJS.Platform): string {
  return platform === "darwin" ? "/var/run/tailscaled.socket" : "/var/run/tailscale/tailscaled.sock";
}
