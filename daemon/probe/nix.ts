/** A Nix binary cache: `nix-cache-info`, and Attic's `cache-config` where there is one. */
import * as v from "valibot";
import type { CacheFacts } from "../../contract/candidate.ts";
import { printable } from "../../contract/text.ts";
import type { Deadline } from "./deadline.ts";
import { type Answer, type HttpConnection, refusal } from "./exchange.ts";
import { ProbeFault } from "./fault.ts";
import type { Judgement } from "./judgement.ts";
import type { Place } from "./place.ts";

/** As contract/profile.ts has it: `<name>:<base64 of 32 bytes>`. */
const publicKey = v.pipe(v.string(), v.regex(/^[A-Za-z0-9._-]+:[A-Za-z0-9+/]{43}=$/));
/** Attic's answer, as far as it matters here (attic: server/src/api/v1/cache_config.rs). */
const cacheConfig = v.object({ public_key: publicKey });

/**
 * @param keys the public keys that the configuration names
 * @throws ProbeFault
 */
export async function judgeNixCache(connection: HttpConnection, keys: readonly string[], deadline: Deadline): Promise<Judgement> {
  const { place } = connection;
  const { path } = place.endpoint;
  const began = performance.now();
  const info = await connection.exchange("GET", `${path}/nix-cache-info`, "handshake", deadline);
  const latencyMs = performance.now() - began;
  const facts = cacheInfo(info, place);
  const servedKey = await keyServedByAttic(connection, deadline);
  judgeKey(place, keys, servedKey);
  return { latencyMs, facts: servedKey === undefined ? facts : { ...facts, servedKey } };
}

function cacheInfo(answer: Answer, place: Place): CacheFacts {
  const path = `${place.endpoint.path}/nix-cache-info`;
  if (answer.status === 401) {
    throw new ProbeFault(
      "authority",
      `${place.shown} answers HTTP 401 for ${path}: the cache is private or missing, Attic does not tell which`,
      {
        next: "check the cache's name, or ask its operator to make it public",
      },
    );
  }
  if (answer.status === 404)
    throw new ProbeFault("capabilities", `${place.shown} has no Nix cache at ${place.endpoint.path || "/"} (HTTP 404)`);
  if (answer.status !== 200) throw refusal(place, answer, "200");
  const fields = new Map<string, string>();
  for (const line of answer.body.split(/\r?\n/)) {
    const field = /^([A-Za-z]+):\s*(.*?)\s*$/.exec(line);
    if (field?.[1] !== undefined && field[2] !== undefined) fields.set(field[1], field[2]);
  }
  const storeDir = fields.get("StoreDir");
  if (storeDir === undefined)
    throw new ProbeFault("capabilities", `${place.shown} answers ${path} with something that is no nix-cache-info`);
  if (storeDir !== "/nix/store") {
    throw new ProbeFault("capabilities", `${place.shown} serves the store ${printable(storeDir, 80)}, not /nix/store`);
  }
  const priority = /^\d{1,9}$/.test(fields.get("Priority") ?? "") ? Number(fields.get("Priority")) : undefined;
  return priority === undefined ? { storeDir } : { storeDir, priority };
}

/** The key that Attic says belongs to the cache: shown and compared, never trusted. Undefined where the server is no Attic. */
async function keyServedByAttic(connection: HttpConnection, deadline: Deadline): Promise<string | undefined> {
  const cache = connection.place.endpoint.path.split("/").at(-1);
  if (cache === undefined || cache === "") return undefined;
  const answer = await connection.exchange("GET", `/_api/v1/cache-config/${cache}`, "capabilities", deadline);
  if (answer.status !== 200) return undefined;
  try {
    const parsed = v.safeParse(cacheConfig, JSON.parse(answer.body));
    return parsed.success ? parsed.output.public_key : undefined;
  } catch {
    return undefined;
  }
}

function judgeKey(place: Place, keys: readonly string[], served: string | undefined): void {
  if (keys.length === 0) {
    throw new ProbeFault("authority", `no public key is configured for ${place.shown}, so nothing that it serves can be believed`, {
      next:
        served === undefined
          ? "flywheel trust key <name>:<key>, as its operator names it"
          : `compare with its operator, then: flywheel trust key ${served}`,
    });
  }
  if (served !== undefined && !keys.includes(served)) {
    throw new ProbeFault("authority", `${place.shown} serves the key ${served}, which is none of those configured`, {
      next: "ask its operator which key is right; do not trust the cache's own word",
    });
  }
}
