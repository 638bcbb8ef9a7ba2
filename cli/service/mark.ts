/** The line by which `service install` knows its own files again, and whether somebody has edited them since. */
import { createHash } from "node:crypto";

const mark = /^.*written by `flywheel service install`; sha256=([0-9a-f]{64}).*\n/m;

export type UnitState =
  | "absent"
  /** As this flywheel would write it. */
  | "current"
  /** Written by `service install`, of another version or in another environment. */
  | "outdated"
  /** Written by it, and changed since. */
  | "edited"
  /** Somebody else's. */
  | "foreign";

/** `#` for systemd's units, `<!--` for launchd's XML, whose declaration has to come first. */
export function marked(text: string, syntax: "systemd" | "xml"): string {
  const words = `written by \`flywheel service install\`; sha256=${sha256(text)}; \`flywheel service uninstall\` removes it`;
  return syntax === "systemd" ? `# ${words}\n${text}` : `<?xml version="1.0" encoding="UTF-8"?>\n<!-- ${words} -->\n${text}`;
}

/** @param content undefined where there is no file */
export function judge(content: string | undefined, wanted: string): UnitState {
  if (content === undefined) return "absent";
  if (content === wanted) return "current";
  const found = mark.exec(content);
  if (found === null) return "foreign";
  const rest = content.slice(found.index + found[0].length);
  const before = content.slice(0, found.index);
  const untouched = (before === "" || /^<\?xml [^\n]*\?>\n$/.test(before)) && sha256(rest) === found[1];
  return untouched ? "outdated" : "edited";
}

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
