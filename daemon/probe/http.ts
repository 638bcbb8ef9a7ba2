/** Bazel's HTTP cache protocol: `/cas/<sha256>` and `/ac/<sha256>` beneath the endpoint's path. */
import { randomBytes } from "node:crypto";
import { isTls } from "../../contract/endpoint.ts";
import type { Deadline } from "./deadline.ts";
import { type HttpConnection, refusal } from "./exchange.ts";
import { ProbeFault } from "./fault.ts";
import type { Judgement } from "./judgement.ts";

/** SHA-256 of nothing: bazel-remote has that blob without storing it, and asks no lock for it. */
export const emptyBlob = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/**
 * Reads only: HEAD of the empty blob (200 or 404), then GET of an action that cannot exist (404).
 * @throws ProbeFault
 */
export async function judgeHttpCache(connection: HttpConnection, deadline: Deadline): Promise<Judgement> {
  const { place } = connection;
  const { path } = place.endpoint;
  const blob = await connection.exchange("HEAD", `${path}/cas/${emptyBlob}`, "handshake", deadline);
  if (blob.status !== 200 && blob.status !== 404) {
    // Why, nginx says in the body alone, which an answer to HEAD has not.
    const unclear = blob.status === 400 && isTls(place.endpoint);
    throw refusal(
      place,
      unclear ? await connection.exchange("GET", `${path}/cas/${emptyBlob}`, "capabilities", deadline) : blob,
      "200 or 404",
    );
  }
  const began = performance.now();
  const action = await connection.exchange("GET", `${path}/ac/${randomBytes(32).toString("hex")}`, "capabilities", deadline);
  const latencyMs = performance.now() - began;
  if (action.status === 200) {
    throw new ProbeFault("capabilities", `${place.shown} answers HTTP 200 for an action that cannot exist: it is a web site, not a cache`);
  }
  if (action.status !== 404) throw refusal(place, action, "404");
  return { latencyMs, facts: {} };
}
