/**
 * What stands above the flags that attach, or hides what Bazel will really do: policies, spellings, and options
 * whose values nobody knows. Each was tried on real Bazels, 2.1.0 and 4.2.3.
 */
import { describe, expect, it } from "vitest";
import { readCommandLine } from "../../../contract/bazel/command-line.ts";
import { type AttachedCache, detachment, injectedFlags, silentEventFlags } from "../../../contract/bazel/injection.ts";
import { quickJudgement } from "../../../contract/bazel/quick.ts";
import { type Endpoint, parseEndpoint } from "../../../contract/endpoint.ts";

function endpoint(url: string): Endpoint {
  const parsed = parseEndpoint(url, "bazel");
  if (!parsed.ok) throw new Error(parsed.message);
  return parsed.endpoint;
}
const cache = (changes: Partial<AttachedCache> = {}): AttachedCache => ({
  endpoint: endpoint("grpc://100.64.0.5:9092"),
  aliases: [],
  upload: false,
  instanceName: undefined,
  ...changes,
});
/** Why the guard would refuse the line, or undefined. */
function fault(...args: string[]): string | undefined {
  const line = readCommandLine(args);
  if (line.kind !== "heavy") throw new Error(`${args.join(" ")} is ${line.kind}`);
  return detachment(line.cacheOptions, cache());
}

describe("an invocation policy, which overrules every flag", () => {
  const off = 'flag_policies { flag_name: "remote_cache" set_value { flag_value: "" } }';

  it.each([[`--invocation_policy=${off}`], ["--invocation_policy", off]])("is never taken by the fast path: %s", (...policy) => {
    expect(quickJudgement([...policy, "build", "//..."])).toEqual({ kind: "unclear" });
    expect(quickJudgement([...policy, "info"])).toEqual({ kind: "pass" });
    expect(readCommandLine([...policy, "info"]).kind).toBe("pass");
    expect(fault(...policy, "build", "//...")).toContain("--invocation_policy may overrule");
  });

  it.each([
    'flag_policies { flag_name: "remote\\137cache" use_default {} }',
    'flag_policies { flag_name: "config" set_value { flag_value: "alone" } }',
    "CiAKDHJlbW90ZV9jYWNoZQ==",
  ])("is refused where it may speak of the cache: %s", (policy) => {
    expect(fault(`--invocation_policy=${policy}`, "build")).toContain("--invocation_policy");
  });

  it.each(["", 'flag_policies { flag_name: "keep_going" set_value { flag_value: "true" } }'])(
    "stands where it speaks of something else: %j",
    (policy) => {
      expect(fault(`--invocation_policy=${policy}`, "build")).toBeUndefined();
    },
  );
});

describe("booleans in every case that Bazel takes", () => {
  it.each(["TRUE", "Yes", "T", "1", "y"])("--nobuild --build=%s executes", (value) => {
    expect(readCommandLine(["build", "--nobuild", `--build=${value}`, "//x"]).kind).toBe("heavy");
  });

  it.each(["FALSE", "No", "F"])("--build=%s does not, and --remote_accept_cached=%s detaches", (value) => {
    expect(readCommandLine(["build", `--build=${value}`, "//x"]).kind).toBe("pass");
    expect(fault("build", `--remote_accept_cached=${value}`, "//x")).toContain("--remote_accept_cached");
  });
});

describe("tags for actions", () => {
  it.each([".*=+no-cache", ".*=+no-remote-cache", ".+=+no-remote", "CppLink=+x,.*=+local"])("%s detaches every action", (tags) => {
    expect(fault("build", `--modify_execution_info=${tags}`, "//x")).toContain("keeps every action away");
    expect(fault("build", "--modify_execution_info", tags, "//x")).toContain("keeps every action away");
    expect(quickJudgement(["build", `--modify_execution_info=${tags}`, "//x"])).toEqual({ kind: "unclear" });
  });

  it.each(["CppLink=+no-remote-cache", ".*=-no-cache", "TestRunner=+local", ".*=+requires-network"])(
    "%s is the project's own tuning",
    (tags) => {
      expect(fault("build", `--modify_execution_info=${tags}`, "//x")).toBeUndefined();
    },
  );
});

describe("options whose values nobody knows", () => {
  it("does not take what may be an option's value for --nobuild", () => {
    expect(readCommandLine(["build", "--host_cxxopt", "--nobuild", "//x"]).kind).toBe("heavy");
    expect(readCommandLine(["build", "--host_cxxopt", "x", "--nobuild", "//x"]).kind).toBe("pass");
  });

  it.each([
    [["test", "--config=debug", "//x", "--java_debug"], 3],
    [["run", "--config=debug", "//x", "--java_debug", "--", "a"], 3],
    [["build", "--config=x", "//x", "--new", "--newer"], 3],
    [["build", "//x", "--config=ci", "-c"], 3],
    // Either `--new` takes `--test_arg`, and `--` ends the options; or `--test_arg` takes `--`.
    [["build", "--config=x", "--new", "--test_arg", "--", "//x"], 2],
  ])("puts the flags before the first of them: %j", (args, at) => {
    expect(readCommandLine(args)).toMatchObject({ kind: "heavy", at });
  });

  it("knows which options are booleans in one Bazel and take a value in another", () => {
    expect(readCommandLine(["build", "--config=x", "--toolchain_resolution_debug", "--", "//x"])).toMatchObject({ at: 2 });
    expect(readCommandLine(["build", "//x", "--experimental_convenience_symlinks"])).toMatchObject({ at: 2 });
  });

  it("does not go in front of what brings another rc section", () => {
    const many = Array.from({ length: 300 }, (_, index) => `//t:${index}`);
    expect(readCommandLine(["build", "--enable_platform_specific_config", ...many, "--", "//x"]).kind).toBe("unreadable");
    expect(readCommandLine(["build", ...many, "--", "//x"])).toMatchObject({ kind: "heavy", at: 1 });
  });
});

describe("build events, which upload what they name", () => {
  it("are kept from a gRPC cache that is only read", () => {
    expect(injectedFlags(cache())).toEqual(expect.arrayContaining([...silentEventFlags]));
    for (const other of [cache({ upload: true }), cache({ endpoint: endpoint("http://100.64.0.5:8080") })]) {
      expect(injectedFlags(other).filter((flag) => silentEventFlags.includes(flag))).toEqual([]);
    }
  });
});
