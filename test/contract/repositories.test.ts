import { expect, test } from "vitest";
import { parseConfig } from "../../contract/config.ts";
import type { Manifest } from "../../contract/manifest.ts";
import { profileOfRepository } from "../../contract/repositories.ts";

const config = parseConfig(
  `[[repositories]]
path = "/src/lab/"
forge_scope = "gitlab.lab.example/physics"
profile = "both"

[[repositories]]
path = "/src/lab"
profile = "lab"

[[repositories]]
operator_overlay = "cell-7"
profile = "cell"
`,
  "config.toml",
);
const enrolled = (more: Partial<Extract<Manifest, { state: "enrolled" }>>): Manifest => ({
  state: "enrolled",
  mode: "shared-cache-backed",
  ...more,
});
const of = (root: string, manifest: Manifest = { state: "absent" }) => profileOfRepository(config, { root, manifest })?.profile;

test("the first rule that agrees in all that it names holds", () => {
  expect(of("/src/lab")).toBe("lab");
  expect(of("/src/lab/deep/er", enrolled({ forgeScope: "gitlab.lab.example/physics" }))).toBe("both");
  expect(of("/src/lab/x", enrolled({ forgeScope: "gitlab.lab.example/other", operatorOverlay: "cell-7" }))).toBe("lab");
  expect(of("/elsewhere", enrolled({ operatorOverlay: "cell-7" }))).toBe("cell");
});

test("what is merely beside a path, or says nothing, has none", () => {
  expect(of("/src/laboratory")).toBeUndefined();
  expect(of("/src", enrolled({}))).toBeUndefined();
  expect(of("/elsewhere", { state: "invalid", message: "" })).toBeUndefined();
});

test("says by which rule", () => {
  expect(profileOfRepository(config, { root: "/src/lab", manifest: enrolled({ forgeScope: "gitlab.lab.example/physics" }) })?.why).toBe(
    "[[repositories]] of config.toml, by path /src/lab and forge_scope gitlab.lab.example/physics",
  );
});

test.each([
  ['[[repositories]]\nprofile = "lab"\n', /:1: repositories.*expected a path, a forge_scope or an operator_overlay/],
  ['[[repositories]]\npath = "src"\nprofile = "lab"\n', /:2: repositories\.0\.path: expected an absolute path/],
  ['[[repositories]]\npath = "/src"\nprofile = "../lab"\n', /:3: repositories\.0\.profile: expected a profile's name/],
  ['[[repositories]]\npath = "/src"\n', /repositories\.0\.profile/],
])("%j is refused, and says where", (text, message) => {
  expect(() => parseConfig(text, "config.toml")).toThrow(message);
});
