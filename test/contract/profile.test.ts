import { expect, test } from "vitest";
import { parseProfile } from "../../contract/config.ts";

const instanceOf = (name: string) => parseProfile("lab", `[bazel]\ninstance_name = "${name}"\n`, "lab.toml").bazel.instanceName;

test("an instance name is one that the guard will hand on; empty is the unnamed one", () => {
  expect([instanceOf("physics/a.b-c_d"), instanceOf("")]).toEqual(["physics/a.b-c_d", undefined]);
});

test.each(["/main", "-x", "a b", "x".repeat(129)])("%s is refused where it stands, with file and line", (name) => {
  expect(() => instanceOf(name)).toThrow(/lab\.toml:2: bazel\.instance_name: expected an instance name/);
});
