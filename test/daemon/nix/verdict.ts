/** Prints what the product says of a cache to whoever runs this: `verdict.ts '{"url", "aliases", "key", "times"}'`. */
import { type Endpoint, parseEndpoint } from "../../../contract/endpoint.ts";
import { NixTrust } from "../../../daemon/nix/trust.ts";
import type { Question } from "./machine.ts";

const { url, aliases = [], key, times = 1 } = JSON.parse(process.argv[2] ?? "") as Question;
const trust = new NixTrust(process.env);
const ask = () => trust.honour({ endpoint: endpoint(url), aliases: aliases.map(endpoint), publicKey: key });
let verdict = await ask();
for (let left = times - 1; left > 0; left -= 1) verdict = await ask();
process.stdout.write(JSON.stringify(verdict));

function endpoint(text: string): Endpoint {
  const parsed = parseEndpoint(text, "nix");
  if (!parsed.ok) throw new TypeError(parsed.message);
  return parsed.endpoint;
}
