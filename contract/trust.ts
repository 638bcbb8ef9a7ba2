/** What the user has said may be trusted: tailnets, files and Nix keys. Kept in trust.json of the configuration directory. */
import * as v from "valibot";
import { profileName } from "./published.ts";

export const trustSchema = v.strictObject({
  v: v.literal(1),
  tailnets: v.array(
    v.strictObject({ profile: v.pipe(v.string(), v.regex(profileName)), name: v.string(), magicDnsSuffix: v.string(), at: v.string() }),
  ),
  /** A file counts only while its content hashes to this, as direnv does it. */
  files: v.array(v.strictObject({ path: v.string(), sha256: v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/)), at: v.string() })),
  keys: v.array(v.strictObject({ profile: v.pipe(v.string(), v.regex(profileName)), key: v.string(), at: v.string() })),
});

export type TrustStore = v.InferOutput<typeof trustSchema>;

export const noTrust: TrustStore = { v: 1, tailnets: [], files: [], keys: [] };
