import { expect, test } from "vitest";
import { expiryWords } from "../../contract/credential-words.ts";

const now = new Date("2026-11-21T12:00:00Z");
const day = 86_400_000;

test.each([
  [5 * day, "expires in 5 d"],
  // Half a second less is not 5 days any more, however near.
  [5 * day - 400, "expires in 4 d"],
  [1500, "expires in 1 s"],
  [200, "expires in 0 s"],
  [0, "expired 0 s ago"],
  [-2.5 * 3_600_000, "expired 2 h ago"],
])("%d ms are left: %s", (left, words) => {
  expect(expiryWords(now.getTime() + left, now)).toBe(words);
});
