/** tinyland.repo.json: what a repository declares about itself; only `enrollment` is our business. */
import * as v from "valibot";
import { type SubstrateMode, substrateModes } from "./mode.ts";
import { printable } from "./text.ts";

export const manifestName = "tinyland.repo.json";

const nonEmpty = v.pipe(v.string(), v.nonEmpty("expected a text that is not empty"));

/** The fleet's schema (tinyland-repo-manifest.schema.json): no extra keys, all of them optional. */
const enrollmentSchema = v.strictObject({
  forgeScope: v.optional(nonEmpty),
  operatorOverlay: v.optional(nonEmpty),
  executionPool: v.optional(nonEmpty),
  substrateMode: v.optional(v.picklist(substrateModes, `expected one of ${substrateModes.join(", ")}`)),
});

export type Manifest =
  | { readonly state: "absent" }
  | { readonly state: "not-enrolled" }
  | { readonly state: "enrolled"; readonly mode: SubstrateMode }
  | { readonly state: "invalid"; readonly message: string };

/**
 * @param text the file's content, or undefined where there is no file
 * @returns what it declares; an enrollment that names no mode means `shared-cache-backed`. Never throws.
 */
export function parseManifest(text: string | undefined): Manifest {
  if (text === undefined) return { state: "absent" };
  let raw: unknown;
  try {
    raw = JSON.parse(text.replace(/^\uFEFF/, ""));
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return { state: "invalid", message: `${manifestName} is not JSON: ${printable(why, 120)}` };
  }
  if (typeof raw !== "object" || raw === null || Array.isArray(raw)) {
    return { state: "invalid", message: `${manifestName} must hold an object` };
  }
  if (!("enrollment" in raw)) return { state: "not-enrolled" };
  const result = v.safeParse(enrollmentSchema, raw.enrollment);
  if (result.success) return { state: "enrolled", mode: result.output.substrateMode ?? "shared-cache-backed" };
  const issue = result.issues[0];
  const key = ["enrollment", ...(issue.path ?? []).map((item) => String(item.key))].join(".");
  const what = issue.expected === "never" ? "is not a key of the schema" : issue.message;
  return { state: "invalid", message: `${manifestName}: ${printable(key, 80)}: ${printable(what, 160)}` };
}
