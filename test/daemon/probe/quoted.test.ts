/** Caches that repeat what they were sent: whoever reads the reason, the log or the published file must not see it. */
import { status } from "@grpc/grpc-js";
import { afterEach, describe, expect, test } from "vitest";
import type { Candidate } from "../../../contract/candidate.ts";
import { authorizationOf, type Credential } from "../../../contract/credential.ts";
import type { Tool } from "../../../contract/endpoint.ts";
import { Secret } from "../../../contract/secret.ts";
import { given } from "../../../daemon/credentials/kept.ts";
import { Prober } from "../../../daemon/probe/prober.ts";
import { quoted } from "../../../daemon/probe/quoted.ts";
import { byOperator, candidate, healthyGrpc, listenGrpc, listenHttp, proofContext } from "./peers.ts";

const cleanup: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of cleanup.splice(0).reverse()) await close();
});

/** Longer than any text of a cache that a message repeats. */
const long = `${"abcdefghij+/".repeat(40)}==`;
const credentials: readonly (readonly [string, Credential])[] = [
  ["a token", { scheme: "bearer", token: new Secret("s3cret-tok3n+/=") }],
  ["a long token", { scheme: "bearer", token: new Secret(long) }],
  ["a password", { scheme: "basic", user: "ann", password: new Secret("p%ss>w?rd~~") }],
];

/** In every form: none of these may be seen, not even the beginning of one. */
function parts(credential: Credential, tool: Tool): readonly string[] {
  const secret = credential.scheme === "bearer" ? credential.token : credential.scheme === "basic" ? credential.password : undefined;
  const sent = authorizationOf(credential, tool)?.reveal().split(" ")[1] ?? "";
  return [secret?.reveal() ?? "", sent].map((form) => form.slice(0, 8));
}

async function reasonOf(asked: Candidate, credential: Credential): Promise<string> {
  const prober = new Prober();
  cleanup.push(() => prober.close());
  const result = await prober.probe(asked, { ...proofContext, kept: given(credential) });
  expect(result.ok).toBe(false);
  return JSON.stringify(result);
}

describe.each(credentials)("%s", (_name, credential) => {
  test.each([status.UNAUTHENTICATED, status.PERMISSION_DENIED, status.INTERNAL, status.NOT_FOUND])(
    "in the details of a gRPC status: %d",
    async (code) => {
      const cache = await listenGrpc({
        ...healthyGrpc,
        Capabilities: {
          getCapabilities: ({ metadata }, done) => done({ code, details: `bad header ${metadata.get("authorization").join()}` }),
        },
      });
      cleanup.push(() => cache.close());
      const reason = await reasonOf(candidate(`grpc://127.0.0.1:${cache.port}`), credential);
      expect(reason).toContain("<redacted>");
      for (const part of parts(credential, "bazel")) expect(reason).not.toContain(part);
    },
  );

  test.each(["bazel", "nix"] as const)("in the place that it redirects to, for %s", async (tool) => {
    const cache = await listenHttp((request, response) => {
      response.writeHead(302, { location: `/login/${request.headers.authorization}` }).end();
    });
    cleanup.push(() => cache.close());
    const reason = await reasonOf(candidate(`http://127.0.0.1:${cache.port}`, byOperator, tool), credential);
    expect(reason).toContain("<redacted>");
    for (const part of parts(credential, tool)) expect(reason).not.toContain(part);
  });

  test("in the store that a Nix cache serves", async () => {
    const cache = await listenHttp((request, response) => response.end(`StoreDir: /${request.headers.authorization}\n`));
    cleanup.push(() => cache.close());
    const reason = await reasonOf(candidate(`http://127.0.0.1:${cache.port}`, byOperator, "nix"), credential);
    expect(reason).toContain("<redacted>");
    for (const part of parts(credential, "nix")) expect(reason).not.toContain(part);
  });
});

test("in another form, or taken apart by what a terminal would act on", () => {
  const { endpoint } = candidate("http://127.0.0.1:1");
  const kept = given({ scheme: "basic", user: "ann", password: new Secret("p%ss>w?rd~~") });
  const base64 = Buffer.from("ann:p%ss>w?rd~~").toString("base64");
  const base64url = Buffer.from("ann:p%ss>w?rd~~").toString("base64url");
  expect(base64url).not.toBe(base64);
  for (const said of [encodeURIComponent("p%ss>w?rd~~"), base64.replace(/=+$/, ""), base64url, "p%ss\u001b[0m>w?\u0007rd~~"]) {
    expect(quoted({ endpoint, kept }, `you said ${said}!`, 160)).toMatch(/^you said <redacted>=*!$/);
  }
  expect(quoted({ endpoint, kept: undefined }, "a\u001b[31m b", 2)).toBe("a …");
});
