/** What a refusal tells of a report without an attachment. */
import { expect, test } from "vitest";
import type { StatusReport } from "../../contract/api.ts";
import { noAttachment } from "../../shim/attachment.ts";
import { attached } from "../cli/tui/reports.ts";

const [candidate] = attached.candidates;
const failed = candidate === undefined ? [] : [{ ...candidate, attached: false, reason: "refused" }];
const unattached: StatusReport = {
  ...attached,
  bazel: { ...attached.bazel, state: "unattached", reason: "no candidate answers", next: "flywheel doctor", proofAgeS: 754 },
  candidates: failed,
};

test("a kind that nobody answers for tells what was tried, and since when", () => {
  const standing = noAttachment(unattached, "bazel");
  expect(standing.tried).toEqual([expect.stringContaining("refused"), expect.stringContaining("old-cache.other.ts.net: not dialled")]);
  expect(standing.since).toMatch(/^the last proof was made .* ago$/);
});

test("a detached one tells only that: what was tried, and when it last answered, are not why", () => {
  const bazel = { ...unattached.bazel, reason: "detached by flywheel detach", next: "flywheel up" };
  expect(noAttachment({ ...unattached, detached: true, bazel }, "bazel")).toEqual({
    state: "unattached",
    reason: "detached by flywheel detach",
    since: undefined,
    tried: [],
    next: "flywheel up",
  });
});
