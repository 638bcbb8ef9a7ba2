/** Copying through the terminal itself, OSC 52: it reaches the clipboard of whoever sits at it, also over ssh. */
import type { Environment } from "../../contract/environment.ts";

/**
 * What asks the terminal to copy. tmux takes it for its own buffer and, where its set-clipboard says so, hands it on; wrapped
 * once more it goes through to the terminal outside (allow-passthrough). GNU screen only ever hands on what is wrapped.
 */
export function copySequence(text: string, env: Environment): string {
  const copy = `\u001b]52;c;${Buffer.from(text, "utf8").toString("base64")}\u0007`;
  if (env["TMUX"]) return `${copy}\u001bPtmux;${copy.replaceAll("\u001b", "\u001b\u001b")}\u001b\\`;
  return env["STY"] ? `\u001bP${copy}\u001b\\` : copy;
}
