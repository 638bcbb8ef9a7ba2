/** tinyland.repo.json: what a repository declares about itself; only `enrollment` is our business. */
import * as v from "valibot";
import { messageOf } from "./errors.ts";
import { lineInJson } from "./json-line.ts";
import { type SubstrateMode, substrateModes } from "./mode.ts";
import { printable } from "./text.ts";

export const manifestName = "tinyland.repo.json";

const nonEmpty = v.pipe(v.string(), v.nonEmpty("expected a text that is not empty"));

/** The fleet's schema (tinyland-repo-manifest.schema.json): no extra keys, all of them optional. */
const enrollmentSchema = v.pipe(
  v.unknown(),
  // An array is an object to valibot.
  v.check((value) => !Array.isArray(value), "expected an object, found an array"),
  v.strictObject({
    forgeScope: v.optional(nonEmpty),
    operatorOverlay: v.optional(nonEmpty),
    executionPool: v.optional(nonEmpty),
    substrateMode: v.optional(v.picklist(substrateModes, `expected one of ${substrateModes.join(", ")}`)),
  }),
);

export type Manifest =
  | { readonly state: "absent" }
  | { readonly state: "not-enrolled" }
  | {
      readonly state: "enrolled";
      readonly mode: SubstrateMode;
      /** The forge's own name of the repository's scope, the overlay that operates it and the pool that it runs in, where it says. */
      readonly forgeScope?: string;
      readonly operatorOverlay?: string;
      readonly executionPool?: string;
    }
  | { readonly state: "invalid"; readonly message: string };

/**
 * @param text the file's content, or undefined where there is no file
 * @returns what it declares; an enrollment that names no mode means `shared-cache-backed`. Never throws.
 */
export function parseManifest(text: string | undefined): Manifest {
  if (text === undefined) return { state: "absent" };
  const json = text.replace(/^\uFEFF/, "");
  const invalid = (path: readonly string[], what: string): Manifest => {
    return { state: "invalid", message: `${manifestName}:${lineInJson(json, path)}: ${what}` };
  };
  let raw: unknown;
  try {
    raw = JSON.parse(json);
  } catch (error) {
    return invalid([], `this is not JSON: ${printable(messageOf(error), 120)}`);
  }
  if (typeof raw !== "object" || raw === null || Array.isArray(raw)) return invalid([], "it must hold an object");
  if (!("enrollment" in raw)) return { state: "not-enrolled" };
  const result = v.safeParse(enrollmentSchema, raw.enrollment);
  if (result.success) {
    const { substrateMode, forgeScope, operatorOverlay, executionPool } = result.output;
    return {
      state: "enrolled",
      mode: substrateMode ?? "shared-cache-backed",
      ...(forgeScope === undefined ? {} : { forgeScope }),
      ...(operatorOverlay === undefined ? {} : { operatorOverlay }),
      ...(executionPool === undefined ? {} : { executionPool }),
    };
  }
  const issue = result.issues[0];
  const path = ["enrollment", ...(issue.path ?? []).map((item) => String(item.key))];
  const what = issue.expected === "never" ? "is not a key of the schema" : issue.message;
  return invalid(path, `${printable(path.join("."), 80)}: ${printable(what, 160)}`);
}
