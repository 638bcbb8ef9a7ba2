/** Prints what the product says of a cache to whoever runs this: `verdict.ts '{"url", "aliases", "key"}'`. */
import { type Endpoint, parseEndpoint } from "../../../contract/endpoint.ts";
import { NixTrust } from "../../../daemon/nix/trust.ts";

const { url, aliases = [], key } = JSON.parse(process.argv[2] ?? "{}") as { url: string; aliases?: string[]; key: string };
const verdict = await new NixTrust(process.env).honour({ endpoint: endpoint(url), aliases: aliases.map(endpoint), publicKey: key });
process.stdout.write(JSON.stringify(verdict));

function endpoint(text: string): Endpoint {
  const parsed = parseEndpoint(text, "nix");
  if (!parsed.ok) throw new TypeError(parsed.message);
  return parsed.endpoint;
}
