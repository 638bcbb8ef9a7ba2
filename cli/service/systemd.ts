/** systemd's user units: text, from an installation. Pure. */
import { FlywheelError } from "../../contract/errors.ts";
import type { Installation } from "./install.ts";

export const unitNames = { socket: "gloriousflywheel.socket", service: "gloriousflywheel.service" } as const;

/**
 * What a session's environment may hold that would change which caches the daemon reaches, or whom it believes: a
 * daemon that flywheel starts is not told of them either.
 */
const foreign = [
  ...["NODE_OPTIONS", "NODE_PATH", "NODE_EXTRA_CA_CERTS", "NODE_TLS_REJECT_UNAUTHORIZED", "SSL_CERT_FILE", "SSL_CERT_DIR"],
  ...["http_proxy", "https_proxy", "grpc_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"],
] as const;

/** systemd listens, and starts the daemon for whoever asks first. */
export function socketUnit({ socket, xdgRuntime }: Installation): string {
  const path = xdgRuntime === undefined ? specifiers(socket) : `%t${specifiers(socket.slice(xdgRuntime.length))}`;
  return `[Unit]
Description=GloriousFlywheel companion: the daemon's socket

[Socket]
ListenStream=${path}
SocketMode=0600
DirectoryMode=0700
RemoveOnStop=yes

[Install]
WantedBy=sockets.target
`;
}

/**
 * No Type=notify, since Node has no datagram sockets of the Unix family; none is needed, since whoever asks waits in
 * the socket's queue. Only hardening that a user manager can do without privileges and without a user namespace; no
 * MemoryDenyWriteExecute, since V8 compiles. An exit of 1 is a start that failed: whoever asked was told why, and the
 * next question tries again. 203: the program is not there any more. After a crash whoever asks waits for RestartSec,
 * less than a question's patience; what crashes on and on hits the limit, the socket goes, and flywheel starts its daemon
 * itself.
 * @throws FlywheelError `usage` where systemd would not run the program for its name
 */
export function serviceUnit({ command, environment, xdgRuntime }: Installation): string {
  const [program, ...args] = command;
  // string_is_safe() of systemd's basic/string-util.c.
  if (/["'\\]/.test(program)) {
    throw new FlywheelError("usage", `systemd runs no program with a quote or a backslash in its path: ${program}`, {
      next: "install flywheel, or its node, in another directory",
    });
  }
  const variables = Object.entries(environment).map(([name, value]) => {
    const below = xdgRuntime !== undefined && name === "GF_RUNTIME_DIR";
    const text = below ? `%t${specifiers(value.slice(xdgRuntime.length))}` : specifiers(value);
    return `Environment=${quoted(`${name}=${text}`)}`;
  });
  return `[Unit]
Description=GloriousFlywheel companion: the daemon
Requires=${unitNames.socket}
After=${unitNames.socket}
StartLimitIntervalSec=60
StartLimitBurst=30

[Service]
Type=exec
ExecStart=${[quoted(specifiers(program)), ...args.map((word) => quoted(specifiers(word).replaceAll("$", "$$$$")))].join(" ")}
${variables.join("\n")}
UnsetEnvironment=${foreign.join(" ")}
UMask=0077
WorkingDirectory=/
Restart=on-failure
RestartSec=1
RestartPreventExitStatus=1 203
TimeoutStopSec=5
NoNewPrivileges=yes
LockPersonality=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
`;
}

/** systemd.unit(5), SPECIFIERS. A variable's name after `$` means something in arguments alone, not in the program (systemd.service(5), COMMAND LINES). */
function specifiers(text: string): string {
  return text.replaceAll("%", "%%");
}

/** systemd.syntax(7), QUOTING. */
function quoted(text: string): string {
  return /^[A-Za-z0-9_@%+=:,./$-]+$/.test(text) ? text : `"${text.replaceAll(/["\\]/g, "\\$&")}"`;
}
