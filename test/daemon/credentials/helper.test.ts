/** Which login a credential helper's URI belongs to. */
import { describe, expect, test } from "vitest";
import type { Candidate } from "../../../contract/candidate.ts";
import type { CredentialEntry } from "../../../contract/credential.ts";
import { type Asked, askedOf } from "../../../contract/credential-helper.ts";
import { type Endpoint, parseEndpoint } from "../../../contract/endpoint.ts";
import { reach } from "../../../daemon/credentials/helper.ts";

function endpoint(url: string): Endpoint {
  const parsed = parseEndpoint(url, "bazel");
  if (!parsed.ok) throw new TypeError(url);
  return parsed.endpoint;
}

function entry(url: string, kind: "bazel" | "nix" = "bazel"): CredentialEntry {
  const how = { scheme: "bearer", store: "file" } as const;
  return {
    profile: "default",
    kind,
    endpoint: url,
    how,
    generation: "0".repeat(32),
    at: "2026-11-20T08:00:00Z",
    expires: null,
    legacyHeader: false,
  };
}

const reaches = (...args: Parameters<typeof reach>): boolean => reach(...args) !== undefined;

/** What Bazel asks about, of a URI that is sound. */
function asked(uri: string): Asked {
  const about = askedOf(uri);
  if (about === undefined) throw new TypeError(`${uri} is no URI`);
  return about;
}

describe("a URI of Bazel's", () => {
  test.each([
    ["grpc://cache.example:9092", "https://cache.example:9092/google.devtools.build.v1.PublishBuildEvent", true],
    ["grpcs://cache.example", "https://cache.example/", true],
    ["grpcs://cache.example", "https://cache.example:443/", true],
    ["grpcs://cache.example:443", "https://CACHE.example/", true],
    ["https://cache.example/bazel", "https://cache.example/bazel/ac/00", true],
    ["http://cache.example:8080", "http://cache.example:8080/cas/00", true],
    ["grpc://[fd7a:115c:a1e0::5]:9092", "https://[fd7a:115c:a1e0::5]:9092/", true],
    ["grpcs://cache.example", "https://cache.example:9092/", false],
    ["grpcs://cache.example", "https://other.example/", false],
    ["grpcs://cache.example", "https://cache.example.evil.example/", false],
    ["grpcs://cache.example", "https://evil-cache.example/", false],
    ["https://cache.example/bazel", "https://cache.example/bazel", true],
    // Written without a port, a gRPC cache is asked about without one.
    ["grpc://100.64.0.5", "https://100.64.0.5/build.bazel.remote.execution.v2.Capabilities", true],
    ["grpc://100.64.0.5:80", "https://100.64.0.5/build.bazel.remote.execution.v2.Capabilities", true],
    ["grpc://[fd7a:115c:a1e0::5]", "https://[fd7a:115c:a1e0::5]/", true],
    ["grpc://100.64.0.5:80", "https://100.64.0.5:80/", true],
    ["grpc://100.64.0.5", "https://100.64.0.5:443/", false],
    ["grpc://[fd7a:115c:a1e0::5]", "https://[fd7a:115c:a1e0::5]:443/", false],
    ["grpc://100.64.0.5", "http://100.64.0.5/", false],
    ["grpc://100.64.0.5:9092", "https://100.64.0.5/", false],
    ["http://100.64.0.5", "https://100.64.0.5/", false],
    // Another cache, or something else, of the same host.
    ["https://cache.example/bazel", "https://cache.example/bazel-of-others/ac/00", false],
    ["https://cache.example/bazel", "https://cache.example/downloads/a.tgz", false],
    ["https://cache.example/bazel", "https://cache.example/bazel/../other", false],
    // Never in plain text what was given for TLS.
    ["https://cache.example", "http://cache.example:443/", false],
  ])("%s, asked for as %s: %s", (url, uri, owned) => {
    expect(reaches(asked(uri), entry(url), [])).toBe(owned);
  });

  test("is also of the aliases and addresses of the candidate that the login is for", () => {
    const candidate: Candidate = {
      endpoint: endpoint("grpc://100.64.0.5:9092"),
      aliases: [endpoint("grpc://cache.tail0ffee.ts.net:9092")],
      source: {
        name: "peer",
        node: "cache.tail0ffee.ts.net",
        nodeId: "n1",
        tag: "tag:bazel-cache",
        pin: ["100.64.0.5", "fd7a:115c:a1e0::5"],
      },
    };
    const own = entry("grpc://cache.tail0ffee.ts.net:9092");
    for (const host of ["100.64.0.5", "cache.tail0ffee.ts.net", "[fd7a:115c:a1e0::5]"]) {
      expect(reaches(asked(`https://${host}:9092/`), own, [candidate])).toBe(true);
      expect(reaches(asked(`https://${host}:9093/`), own, [candidate])).toBe(false);
    }
  });

  test("is never of a Nix cache's login", () => {
    expect(reaches(asked("https://cache.example/"), entry("https://cache.example", "nix"), [])).toBe(false);
  });

  test("is of the login with the longer path first", () => {
    const uri = asked("https://cache.example/bazel/ac/00");
    expect(reach(uri, entry("https://cache.example/bazel"), [])).toBe("/bazel".length);
    expect(reach(uri, entry("https://cache.example"), [])).toBe(0);
  });

  const odd = ["https:cache.example", "https:\\\\cache.example\\@evil.example/", "https://cache\t.example/", "https://cache。example/"];
  test.each([...odd, "", "cache.example", "file:///etc/passwd", "grpc://cache.example:1", "https://"])("is none: %s", (uri) => {
    expect(askedOf(uri)).toBeUndefined();
  });
});
