/** What a recorder does to a tool's command line; beside real tools it is tried in test/e2e. */
import { expect, test } from "vitest";
import { bazelRecorder } from "../../cli/record/bazel.ts";
import { nixRecorder } from "../../cli/record/nix.ts";

const place = { cwd: "/", root: "/no/such", home: "/no/such", runtime: "/no/such" };
const ending = { code: 0, signal: undefined, startedAt: new Date(), wallMs: 1 };

test("where its events can go nowhere, Bazel runs without them, and the record says why", async () => {
  // No directory is below one that is not there.
  const recorder = bazelRecorder(["build", "//:t"], place, "no/such");
  expect(recorder?.args).toEqual(["build", "//:t"]);
  expect(await recorder?.read(ending)).toMatchObject({
    ...{ ran: true, endpoint: undefined, outcome: "succeeded" },
    tally: { state: "unknown", why: expect.stringMatching(/^no place for Bazel's build events: ENOENT/) },
  });
  recorder?.close();
});

test("a program under nix run that ends with the guard's own code for a refusal ran all the same", async () => {
  for (const ran of [true, false]) {
    const recorder = nixRecorder("nix", ["run", ".#x"], { show: () => {}, endpoint: () => undefined, marked: () => ran });
    expect(await recorder?.read({ ...ending, code: 78 })).toMatchObject({ ran, outcome: "failed" });
  }
});
