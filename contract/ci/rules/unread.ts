/** What was not read is named: nothing is claimed of it. */
import { linesOf, type Rule } from "./rule.ts";

const line = linesOf("not-read");

export const notRead: Rule = {
  id: "not-read",
  look({ repository }) {
    const { github, gitlab } = repository.described;
    const none = github.length + gitlab.length + repository.unread.length === 0;
    const lines = repository.unread.map(({ what, why, place }) => line("unknown", `not read: ${what}`, { places: [place], why }));
    if (!none) return lines;
    return [line("unknown", "no CI is described in this repository", { why: "there is neither .github/workflows nor .gitlab-ci.yml" })];
  },
};
