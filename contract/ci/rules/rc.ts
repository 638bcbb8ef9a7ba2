/** What does not belong into rc files: endpoints, variables that Bazel does not expand, uploads; and rc files that are generated. */
import { isLoopback, parseEndpoint } from "../../endpoint.ts";
import { type Job, type Place, placeWords, type Repository, type Script } from "../model.ts";
import { booleanOf, flagsOf, type RcLine } from "../rc.ts";
import type { ParityLine } from "../report.ts";
import { jobsOnce, linesOf, type Rule, shownText } from "./rule.ts";

const placeholderLine = linesOf("rc-placeholder");
const endpointLine = linesOf("rc-endpoint");
const uploadLine = linesOf("rc-upload");
const generatedLine = linesOf("generated-rc");

const endpointFlags = new Set(["remote_cache", "remote_http_cache", "remote_executor"]);

/** All that Bazel reads in some workspace of the repository. */
function allRc({ rc, nestedRc }: Repository): readonly RcLine[] {
  return [...rc, ...nestedRc];
}

/** Each option of the repository's rc files that names an endpoint. */
function endpoints(repository: Repository): readonly { readonly name: string; readonly value: string; readonly place: Place }[] {
  return allRc(repository).flatMap((line) =>
    flagsOf(line.words)
      .filter(({ name, value }) => endpointFlags.has(name) && value !== "")
      .map(({ name, value }) => ({ name, value, place: { file: line.file, line: line.line } })),
  );
}

function isPlaceholder(value: string): boolean {
  return /[$%{}]/.test(value);
}

export const rcPlaceholder: Rule = {
  id: "rc-placeholder",
  look: ({ repository }) =>
    endpoints(repository)
      .filter(({ value }) => isPlaceholder(value))
      .map(({ name, value, place }) =>
        placeholderLine("drift", `--${name}=${shownText(value)} is taken as it is written`, {
          places: [place],
          why: "Bazel expands no variables in rc files: it would look for a host of that name",
          next: "take it out: the wrapper, or the guard, gives Bazel the endpoint",
        }),
      ),
};

export const rcEndpoint: Rule = {
  id: "rc-endpoint",
  look: ({ repository }) =>
    endpoints(repository)
      .filter(({ value }) => !isPlaceholder(value))
      .map(({ name, value, place }) => {
        const parsed = parseEndpoint(value, "bazel");
        const loopback = parsed.ok && isLoopback(parsed.endpoint.host);
        return endpointLine("drift", `an rc file names an endpoint: --${name}=${shownText(value)}`, {
          places: [place],
          why: loopback
            ? "whatever listens on that port of somebody's machine would be their cache"
            : "an endpoint is the operator's to name: from elsewhere it has another address, or none",
          next: "take it out: the wrapper, or the guard, gives Bazel the endpoint",
        });
      }),
};

export const rcUpload: Rule = {
  id: "rc-upload",
  look: ({ repository }) =>
    allRc(repository).flatMap((line) =>
      flagsOf(line.words)
        .filter((flag) => flag.name === "remote_upload_local_results" && booleanOf(flag) === true)
        .map(() =>
          uploadLine("drift", `${line.section}${line.config === undefined ? "" : `:${line.config}`} lets Bazel write to the cache`, {
            places: [{ file: line.file, line: line.line }],
            why: "an rc file does not know on which branch it is read: who may write is decided where that is known",
            next: "say --remote_upload_local_results=false, and let CI's trusted branch say true",
          }),
        ),
    ),
};

/** Commands that write an rc file. */
export const generatedRc: Rule = {
  id: "generated-rc",
  look({ repository }) {
    const scripts: readonly (Job | Script)[] = [...jobsOnce(repository), ...repository.scripts];
    const written = scripts.flatMap(({ commands }) =>
      commands.flatMap((command) => {
        const tee = command.words[0]?.text === "tee" ? command.words.slice(1).map(({ text }) => text) : [];
        return [...command.writes, ...tee].filter(isRc).map((file) => ({ file, place: command.place }));
      }),
    );
    // Actions that set Bazel up write their input of that name into the user's.
    const given = jobsOnce(repository).flatMap(({ foreign }) =>
      foreign.flatMap(({ name, inputs }) => {
        const lines = inputs.get("bazelrc");
        return lines !== undefined && /--(?:remote_|disk_cache)/.test(lines.text)
          ? [{ file: `the bazelrc of ${name}`, place: lines.place }]
          : [];
      }),
    );
    const lines = [...written, ...given].map(({ file, place }): [string, ParityLine] => [
      placeWords(place),
      generatedLine("drift", `${file} is generated`, {
        places: [place],
        why: "what it says is the endpoint of the moment it was written: nothing proves it, and nothing takes it away",
        next: "take it out: the wrapper, or the guard, gives Bazel its flags",
      }),
    ]);
    return [...new Map(lines).values()];
  },
};

function isRc(file: string): boolean {
  return /(?:^|[/.])[^/]*bazelrc(?:\.[a-z]+)?$/.test(file);
}
