import { expect, test } from "vitest";
import { parseManifest } from "../../contract/manifest.ts";

test.each([
  [undefined, { state: "absent" }],
  ["{}", { state: "not-enrolled" }],
  ['{"name": "x", "lanes": {"anything": 1}}', { state: "not-enrolled" }],
  ['{"enrollment": {}}', { state: "enrolled", mode: "shared-cache-backed" }],
  ['\ufeff{"enrollment": {"substrateMode": "compatibility-local-only"}}', { state: "enrolled", mode: "compatibility-local-only" }],
  [
    '{"enrollment": {"forgeScope": "a", "operatorOverlay": "b", "executionPool": "c", "substrateMode": "executor-backed"}}',
    { state: "enrolled", mode: "executor-backed", forgeScope: "a", operatorOverlay: "b", executionPool: "c" },
  ],
] as const)("%s", (text, expected) => {
  expect(parseManifest(text)).toEqual(expected);
});

test.each([
  ["{", /not JSON/],
  ["[]", /must hold an object/],
  ["null", /must hold an object/],
  ['{"enrollment": null}', /enrollment/],
  ['{"enrollment": {"substrateMode": "turbo"}}', /enrollment\.substrateMode: expected one of compatibility-local-only/],
  ['{"enrollment": {"forgeScope": ""}}', /enrollment\.forgeScope: expected a text that is not empty/],
  ['{"enrollment": {"sub\\u001bstrate": 1}}', /enrollment\.substrate: is not a key of the schema/],
])("%s is invalid, and says where", (text, message) => {
  expect(parseManifest(text)).toMatchObject({ state: "invalid", message: expect.stringMatching(message) });
});
