/** What `flywheel attach` and `detach` said, kept in operator.json of the state directory by the daemon. */
import * as v from "valibot";
import { profileName } from "./published.ts";

const profile = v.pipe(v.string(), v.regex(profileName));

export const operatorSchema = v.strictObject({
  v: v.literal(1),
  attached: v.array(
    v.strictObject({ profile, kind: v.picklist(["bazel", "nix"]), endpoint: v.string(), localProof: v.boolean(), at: v.string() }),
  ),
  /** Profiles that stay unattached until `up` or `attach`. */
  detached: v.array(profile),
});

export type OperatorStore = v.InferOutput<typeof operatorSchema>;
export type OperatorEndpoint = OperatorStore["attached"][number];

export const noOperator: OperatorStore = { v: 1, attached: [], detached: [] };
