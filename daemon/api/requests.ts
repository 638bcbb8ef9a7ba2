/** What may be asked of the API, checked before anything acts on it. */
import * as v from "valibot";
import { FlywheelError } from "../../contract/errors.ts";
import { longestUserConf, mostUserConf } from "../../contract/nix/user-conf.ts";
import { profileName } from "../../contract/published.ts";
import { printable } from "../../contract/text.ts";

const profile = v.pipe(v.string(), v.regex(profileName, "expected a profile name"));
const judged = v.strictObject({
  profile,
  kind: v.picklist(["bazel", "nix"]),
  endpoint: v.pipe(v.string(), v.maxLength(4096)),
  localProof: v.boolean(),
});

export const profileRequest = v.strictObject({ profile });
/** contract/api.ts: AttachRequest and ProbeRequest have one shape. */
export const attachRequest = judged;
export const probeRequest = judged;
/** contract/api.ts: CredentialRequest and GenerationRequest. */
export const credentialRequest = v.strictObject({ profile, uri: v.pipe(v.string(), v.maxLength(4096)) });
export const generationRequest = v.strictObject({
  ...v.omit(judged, ["localProof"]).entries,
  userConf: v.exactOptional(
    v.pipe(v.array(v.pipe(v.string(), v.startsWith("/"), v.maxLength(longestUserConf))), v.maxLength(mostUserConf)),
  ),
  look: v.exactOptional(v.boolean()),
});
export const emptyRequest = v.strictObject({});
export const stopRequest = v.strictObject({ pid: v.exactOptional(v.pipe(v.number(), v.integer())) });

/** @throws FlywheelError `usage`, naming the field */
export function checkRequest<S extends v.GenericSchema>(schema: S, raw: unknown): v.InferOutput<S> {
  const result = v.safeParse(schema, raw);
  if (result.success) return result.output;
  const [issue] = result.issues;
  const where = v.getDotPath(issue);
  throw new FlywheelError("usage", printable(where === null ? issue.message : `${where}: ${issue.message}`));
}
