/**
 * launchd's agent: text, from an installation. Pure. Not tried on macOS. The agent runs from login on: a socket that
 * launchd listens on can only be had by a call of C (launch_activate_socket(3)), which Node does not make.
 */
import type { Installation } from "./install.ts";

export const label = "gloriousflywheel.daemon";

/** launchd.plist(5). An exit of 0 (`flywheel down`, idle) is left alone; whatever needs the daemon then starts it. */
export function agent({ command, environment }: Installation): string {
  const variables = Object.entries(environment).map(([name, value]) => `    <key>${name}</key>\n    <string>${escaped(value)}</string>`);
  return `<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
  <key>Label</key>
  <string>${label}</string>
  <key>ProgramArguments</key>
  <array>
${command.map((word) => `    <string>${escaped(word)}</string>`).join("\n")}
  </array>
  <key>EnvironmentVariables</key>
  <dict>
${variables.join("\n")}
  </dict>
  <key>RunAtLoad</key>
  <true/>
  <key>KeepAlive</key>
  <dict>
    <key>SuccessfulExit</key>
    <false/>
  </dict>
  <key>ProcessType</key>
  <string>Background</string>
  <key>Umask</key>
  <integer>63</integer>
  <key>WorkingDirectory</key>
  <string>/</string>
</dict>
</plist>
`;
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
