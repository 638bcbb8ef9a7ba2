/** The house for the generated sh of Nix's names: tools that tell the NIX_CONFIG and the words that they were given. */
import { writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { nixNames } from "../../contract/nix/commands.ts";
import { limits } from "../../contract/nix/injection.ts";
import { type Published, serializePublished } from "../../contract/published.ts";
import { endpointOf } from "../fixtures/endpoint.ts";
import { alive, buildHouse, type House, script } from "./house.ts";

export const publicKey = "main:eaUydxuDu7xBoy5cCo3MdknYAkVyTIASQ7DGuwxa+XA=";
export const cacheUrl = "http://100.64.0.5:8080/main";

/** As `_gf_attach` has them: of a user whom the Nix daemon trusts. */
export const attachedSettings = [
  { name: "extra-substituters", value: cacheUrl },
  { name: "extra-trusted-public-keys", value: publicKey },
  ...limits.map(({ name, value }) => ({ name, value })),
];

export function aliveNix(): Published {
  return {
    ...alive(),
    kind: "nix",
    endpoint: endpointOf({ kind: "nix", scheme: "http", host: "100.64.0.5", port: 8080, path: "/main" }),
    aliases: [],
    nix: { publicKey, trustedUser: true },
  };
}

export interface NixHouse extends House {
  /** Writes the Nix attachment, alive unless the changes say otherwise; a string is written as it is. */
  publishNix(changes?: Partial<Published> | string): void;
}

/** @param plan what the fake guard answers */
export async function buildNixHouse(plan?: string): Promise<NixHouse> {
  const house = await buildHouse(plan);
  for (const name of nixNames) {
    script(join(house.tools, name), `for word in "\${NIX_CONFIG-unset}" "$@"; do printf '%s\\0' "$word"; done`);
  }
  const file = join(dirname(house.attachment), "nix");
  return {
    ...house,
    publishNix: (changes = {}) =>
      writeFileSync(file, typeof changes === "string" ? changes : serializePublished({ ...aliveNix(), ...changes }), { mode: 0o600 }),
  };
}
