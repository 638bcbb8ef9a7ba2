/** How a Bazel gets a credential: by entry, version and what the user's own startup options say. */
import { describe, expect, it } from "vitest";
import { readCommandLine } from "../../../contract/bazel/command-line.ts";
import { importingRc, type Presentation, present, startupWords } from "../../../contract/bazel/credentials.ts";
import { parseBazelVersion } from "../../../contract/bazel/version.ts";
import type { CredentialEntry } from "../../../contract/credential.ts";
import { endpointAt } from "../../fixtures/endpoint.ts";

const entry = (changes: Partial<CredentialEntry> = {}): CredentialEntry => ({
  profile: "default",
  kind: "bazel",
  endpoint: "https://cache.example",
  how: { scheme: "bearer", store: "file" },
  generation: "0".repeat(32),
  at: "2030-01-01T00:00:00Z",
  expires: null,
  legacyHeader: true,
  ...changes,
});

interface Setting {
  readonly entry?: Partial<CredentialEntry>;
  readonly endpoint?: string;
  readonly version?: string | undefined;
  readonly startup?: readonly string[];
}

function presented(setting: Setting = {}): Presentation {
  const line = readCommandLine([...(setting.startup ?? []), "build", "//x"]);
  if (line.kind !== "heavy") throw new Error(line.kind);
  return present({
    entry: entry(setting.entry),
    endpoint: endpointAt(setting.endpoint ?? "https://cache.example"),
    version: "version" in setting ? parseBazelVersion(setting.version ?? "") : parseBazelVersion("4.2.3"),
    startup: line.startup,
    args: ["build", "//x"],
    helper: "/opt/flywheel-credential-helper",
    cwd: "/home/dev",
    now: new Date("2030-06-01T00:00:00Z"),
  });
}
const refused = (setting: Setting): string => {
  const presentation = presented(setting);
  return presentation.kind === "refuse" ? `${presentation.reason}; ${presentation.next}` : presentation.kind;
};

it.each(["6.3.0", "7.4.1", "9.0.0"])("Bazel %s asks the helper, whatever the login allowed", (version) => {
  const flags = ["--credential_helper=cache.example=/opt/flywheel-credential-helper"];
  expect(presented({ version })).toEqual({ kind: "flags", flags });
  expect(presented({ version, entry: { legacyHeader: false } })).toEqual({ kind: "flags", flags });
});

it.each(["2.1.0", "4", "4.2.3", "6.2.1", undefined])("Bazel %s gets a header only where the login allowed it", (version) => {
  expect(presented({ version }).kind).toBe("header");
  expect(refused({ version, entry: { legacyHeader: false } })).toMatch(
    /only as a header, which it writes into its own event file and java\.log, and may print; flywheel login https:\/\/cache\.example --allow-legacy-header/,
  );
});

it("one that has expired goes to nobody", () => {
  for (const version of ["4.2.3", "7.4.1"]) {
    expect(refused({ version, entry: { expires: "2030-05-31T23:59:59Z" } })).toMatch(/expired at 2030-05-31.*; flywheel login https:/);
  }
  expect(presented({ entry: { expires: "2030-06-01T00:00:01Z" } }).kind).toBe("header");
});

it("no secret goes in plain text where it could be read", () => {
  const how = { endpoint: "grpc://cache.example:9092" };
  expect(refused({ ...how, version: "7.4.1" })).toMatch(/neither TLS nor on a tailnet/);
  expect(refused(how)).toMatch(/neither TLS nor on a tailnet/);
  expect(presented({ endpoint: "http://100.64.0.5:8080" }).kind).toBe("header");
});

describe("a client certificate", () => {
  const how = { scheme: "mtls", certificate: "/c/cert.pem", key: "/c/key.pem" } as const;
  it.each(["4", "4.2.3", "7.4.1", undefined])("is two options for Bazel %s", (version) => {
    expect(presented({ version, entry: { how, legacyHeader: false } })).toEqual({
      kind: "flags",
      flags: ["--tls_client_certificate=/c/cert.pem", "--tls_client_key=/c/key.pem"],
    });
  });
  it("needs a Bazel that knows it, TLS, and paths that an option can carry", () => {
    expect(refused({ version: "2.1.0", entry: { how } })).toMatch(/Bazel 2\.1\.0 knows no client certificate/);
    expect(refused({ endpoint: "grpc://100.64.0.5:9092", entry: { how } })).toMatch(/is not TLS/);
    expect(refused({ entry: { how: { ...how, key: "/c/a b" } } })).toMatch(/cannot carry/);
  });
});

it("Bazel 2 cannot be given one for gRPC, and is not tried with it: it would print it", () => {
  expect(refused({ version: "2.1.0", endpoint: "grpcs://cache.example:443" })).toMatch(/without any header.*HTTP endpoint, or use Bazel 4/);
  for (const version of ["3.7.2", "4", undefined])
    expect(presented({ version, endpoint: "grpcs://cache.example:443" }).kind).toBe("header");
});

describe("the header's rc file, and the user's own", () => {
  it.each<[string, readonly string[], string, readonly string[] | null]>([
    ["4.2.3", [], "in front", null],
    ["4.2.3", ["--bazelrc=/a", "--bazelrc", "b"], "in front: all of them count", null],
    ["2.1.0", [], "alone", []],
    ["2.1.0", ["--bazelrc=/a.rc"], "imports it", ["/a.rc"]],
    ["2.1.0", ["--bazelrc", "sub/a.rc"], "imports it from where the user stands", ["/home/dev/sub/a.rc"]],
    ["2.1.0", ["--bazelrc=/dev/null"], "alone", []],
    ["2.1.0", ["--output_base", "--bazelrc=/x", "--bazelrc=/a.rc"], "takes no other option's value for one", ["/a.rc"]],
    ["4", ["--bazelrc=/a.rc"], "imports it: which 4 it is, nobody knows", ["/a.rc"]],
  ])("Bazel %s %j: %s", (version, startup, _, imports) => {
    expect(presented({ version, startup })).toEqual({ kind: "header", imports });
  });

  it.each<[string | undefined, readonly string[], RegExp]>([
    ["4.2.3", ["--ignore_all_rc_files"], /--ignore_all_rc_files.*leave that option out/],
    ["2.1.0", ["--bazelrc=/a", "--bazelrc=/b"], /which --bazelrc/],
    [undefined, ["--bazelrc=/a", "--bazelrc=/b"], /which --bazelrc/],
    ["2.1.0", ["--bazelrc=.bazelrc"], /cannot stand beside/],
    ["2.1.0", ["--bazelrc=/a b"], /cannot stand beside/],
    ["2.1.0", ["--bazelrc="], /cannot stand beside/],
    ["4.2.3", ["--strict"], /bazelisk's own modes/],
  ])("Bazel %s %j is refused rather than lose an rc", (version, startup, words) => expect(refused({ version, startup })).toMatch(words));

  it("--noignore_all_rc_files takes it back", () => {
    expect(presented({ startup: ["--ignore_all_rc_files", "--noignore_all_rc_files"] }).kind).toBe("header");
  });

  it("stands in front, and keeps a Bazel that honours several from reading twice what is imported", () => {
    expect(startupWords("/g/bazelrc", null)).toEqual(["--bazelrc=/g/bazelrc"]);
    expect(startupWords("/g/bazelrc", [])).toEqual(["--bazelrc=/g/bazelrc"]);
    expect(startupWords("/r", ["/a.rc"])).toEqual(["--bazelrc=/r", "--bazelrc=/dev/null"]);
    expect(importingRc(["/g/bazelrc", "/a.rc"])).toBe("import /g/bazelrc\nimport /a.rc\n");
  });
});
