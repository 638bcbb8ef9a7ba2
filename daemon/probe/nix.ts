/** A Nix binary cache: `nix-cache-info`, and Attic's `cache-config` where there is one. */
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import * as v from "valibot";
import type { CacheFacts, Candidate } from "../../contract/candidate.ts";
import { nixPublicKey } from "../../contract/nix/key.ts";
import type { NixHonour } from "../../contract/nix/trust.ts";
import { loginAt, refused } from "./authority.ts";
import type { ProbeContext } from "./context.ts";
import type { Deadline } from "./deadline.ts";
import { type Answer, type HttpConnection, refusal } from "./exchange.ts";
import { ProbeFault } from "./fault.ts";
import type { Judgement } from "./judgement.ts";
import type { Place } from "./place.ts";
import { quoted } from "./quoted.ts";

const publicKey = v.pipe(v.string(), v.regex(nixPublicKey));
/** What every Nix has that was not built for another place. */
const usualStoreDir = "/nix/store";
/** The alphabet of store hashes (nix: libutil/hash.cc). */
const nixBase32 = "0123456789abcdfghijklmnpqrsvwxyz";
/** Attic's answer, as far as it matters here (attic: server/src/api/v1/cache_config.rs). */
const cacheConfig = v.object({ public_key: publicKey });

/**
 * Last of all it asks this machine's Nix, which may ignore the best of caches: such a one is never attached.
 * @throws ProbeFault
 */
export async function judgeNixCache(
  connection: HttpConnection,
  candidate: Candidate,
  { nixKeys, nix, anonymously }: Pick<ProbeContext, "nixKeys" | "nix" | "anonymously">,
  deadline: Deadline,
): Promise<Judgement> {
  const { place } = connection;
  const { path } = place.endpoint;
  const began = performance.now();
  const info = await connection.exchange("GET", `${path}/nix-cache-info`, "handshake", deadline);
  const latencyMs = performance.now() - began;
  const facts = cacheInfo(info, place, nix?.storeDir ?? usualStoreDir);
  if (place.kept !== undefined || anonymously === true) await mayRead(connection, deadline);
  const servedKey = await keyServedByAttic(connection, deadline);
  const publicKey = judgeKey(place, nixKeys, servedKey);
  const served = servedKey === undefined ? {} : { servedKey };
  if (nix === undefined) return { latencyMs, facts: { ...facts, ...served } };
  const { endpoint, aliases } = candidate;
  const honour = await answered(nix.honour({ endpoint, aliases, publicKey }), place, deadline);
  if (!honour.ok) throw new ProbeFault("authority", honour.ignored.reason, { next: honour.ignored.next });
  const withheld = place.kept === undefined ? undefined : nix.withheld?.(honour.honoured);
  if (withheld !== undefined && (await asksWho(connection, deadline))) {
    throw new ProbeFault("authority", withheld.reason, { next: withheld.next });
  }
  return { latencyMs, facts: { ...facts, ...served, honoured: honour.honoured } };
}

/** Nix is waited for as long as the climb may take; what it says later is there for the next one. */
async function answered(honour: Promise<NixHonour>, place: Place, { signal }: Deadline): Promise<NixHonour> {
  const done = new AbortController();
  const late = () => "late" as const;
  const ended = signal.aborted ? Promise.resolve(late()) : once(signal, "abort", { signal: done.signal }).then(late, late);
  const first = await Promise.race([honour, ended]);
  done.abort();
  if (first !== "late") return first;
  throw new ProbeFault("authority", `this machine's Nix has not said yet whether it takes ${place.shown}`, {
    next: "see that Nix itself works: nix store ping",
  });
}

function cacheInfo(answer: Answer, place: Place, wanted: string): CacheFacts {
  const path = `${place.endpoint.path}/nix-cache-info`;
  if (answer.status === 401) {
    const doubt = `for ${path}: the cache is private or missing, Attic does not tell which`;
    if (place.kept !== undefined) throw refused(place, "unknown", `HTTP 401 ${doubt}`);
    throw new ProbeFault("authority", `${place.shown} answers HTTP 401 ${doubt}`, {
      next: `check the cache's name; with a token for it: ${loginAt(place)}`,
    });
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
  if (storeDir !== wanted) {
    throw new ProbeFault("capabilities", `${place.shown} serves the store ${quoted(place, storeDir, 80)}, not ${wanted}`, {
      next: `attach a cache that was filled for ${wanted}: no path of another store can be used here`,
    });
  }
  const priority = /^\d{1,9}$/.test(fields.get("Priority") ?? "") ? Number(fields.get("Priority")) : undefined;
  return priority === undefined ? { storeDir } : { storeDir, priority };
}

/**
 * What kind of cache it is, some tell everybody, and ask who reads only then: a path that cannot exist shows it. Any other
 * answer is as good as 404, as it is to Nix (S3 says 403 for what is not there). Only where it matters what is kept here: this
 * machine's Nix may have a netrc of its own that nobody else can read.
 */
async function mayRead(connection: HttpConnection, deadline: Deadline): Promise<void> {
  const answer = await connection.exchange("GET", unknownPath(connection.place), "authority", deadline);
  if (answer.status === 401) throw refused(connection.place, "unknown", "HTTP 401");
}

/** Whether it tells of paths only to whoever says who asks. */
async function asksWho(connection: HttpConnection, deadline: Deadline): Promise<boolean> {
  const answer = await connection.exchange("GET", unknownPath(connection.place), "authority", deadline, "anybody");
  return answer.status === 401;
}

/** Of a narinfo that no cache has. */
function unknownPath({ endpoint }: Place): string {
  const hash = Array.from(randomBytes(32), (byte) => nixBase32[byte % nixBase32.length]).join("");
  return `${endpoint.path}/${hash}.narinfo`;
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

/** @returns the key that vouches for the cache: the one that it serves too, else the first that is configured */
function judgeKey(place: Place, keys: readonly string[], served: string | undefined): string {
  const [first] = keys;
  if (first === undefined) {
    throw new ProbeFault("authority", `no public key is configured for ${place.shown}, so nothing that it serves can be believed`, {
      next:
        served === undefined
          ? "flywheel trust key <name>:<key>, as its operator names it"
          : `compare with its operator, then: flywheel trust key ${quoted(place, served, 400)}`,
    });
  }
  if (served !== undefined && !keys.includes(served)) {
    throw new ProbeFault("authority", `${place.shown} serves the key ${quoted(place, served, 200)}, which is none of those configured`, {
      next: "ask its operator which key is right; do not trust the cache's own word",
    });
  }
  return served ?? first;
}
