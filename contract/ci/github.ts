/** GitHub: workflows, the reusable ones and the composite actions of the same repository that they use. */
import type { Documents } from "./documents.ts";
import { evaluate, holds, interpolate, type Lookup } from "./expression.ts";
import { matchesGlob } from "./glob.ts";
import {
  type Foreign,
  type Job,
  type Place,
  plain,
  type ReadJob,
  type Runner,
  type Setting,
  type Settings,
  type Situation,
  type Text,
  type Unread,
} from "./model.ts";
import { readScript } from "./script.ts";
import { entries, entry, itemsOf, keyPlace, textOf, type Yaml, type YamlText } from "./yaml.ts";

export interface ForgeRead {
  readonly jobs: readonly ReadJob[];
  readonly files: readonly string[];
  readonly unread: readonly Unread[];
}

const workflowFile = /^\.github\/workflows\/[^/]+\.ya?ml$/;
/** Workflows and actions may use each other: so deep are they followed. */
const deepestUse = 6;
/** Of one workflow no more jobs, and of one job no more of its matrix, are looked at. */
const mostJobs = 500;
const mostCombinations = 24;

export function readGithub(documents: Documents, situation: Situation): ForgeRead {
  const reader = new Reader(documents, situation);
  for (const file of documents.files.filter((name) => workflowFile.test(name))) reader.workflow(file);
  return { jobs: reader.jobs, files: [...reader.files], unread: reader.unread };
}

/** The contexts that expressions of one place see. */
interface Contexts {
  readonly env: Settings;
  readonly inputs: Settings;
  readonly matrix: Settings;
}

interface Called {
  readonly inputs: Settings;
  readonly runs: Job["runs"];
  readonly name: string;
  readonly depth: number;
}

class Reader {
  readonly jobs: ReadJob[] = [];
  readonly files = new Set<string>();
  readonly unread: Unread[] = [];
  readonly #documents: Documents;
  readonly #situation: Situation;
  readonly #parsed = new Map<string, Yaml | undefined>();
  #trusted = "main";
  #workflowName = "";

  constructor(documents: Documents, situation: Situation) {
    this.#documents = documents;
    this.#situation = situation;
  }

  workflow(file: string): void {
    const root = this.#read(file);
    if (root === undefined) return;
    const on = entry(root, "on") ?? entry(root, "true");
    this.#trusted = trustedBranch(on);
    this.#workflowName = textOf(entry(root, "name")) ?? file;
    const runs = runsOn(on, this.#situation, this.#trusted);
    if (runs === "no") return;
    this.#workflowJobs(root, { inputs: this.#defaults(entry(entry(on, "workflow_call"), "inputs")), runs, name: "", depth: 0 });
  }

  #workflowJobs(root: Yaml, called: Called): void {
    const contexts: Contexts = { env: new Map(), inputs: called.inputs, matrix: new Map() };
    const env = this.#settings(entry(root, "env"), contexts);
    const jobs = entry(root, "jobs");
    for (const [name, job] of entries(jobs).slice(0, mostJobs)) {
      for (const matrix of this.#combinations(entry(entry(job, "strategy"), "matrix"), contexts)) {
        this.#job({ name, job, place: jobs === undefined ? job.place : keyPlace(jobs, name) }, { ...contexts, env, matrix }, called);
      }
    }
  }

  #job({ name, job, place }: { name: string; job: Yaml; place: Place }, given: Contexts, called: Called): void {
    if (this.jobs.length >= mostJobs || job.kind !== "map") return;
    const condition = textOf(entry(job, "if"));
    const holding = condition === undefined ? true : holds(condition, this.#lookup(given));
    if (holding === false) return;
    const runs = holding === undefined ? "unknown" : called.runs;
    const full = `${called.name}${name}`;
    const uses = entry(job, "uses");
    if (uses?.kind === "text") {
      this.#reusable(uses, entry(job, "with"), given, { ...called, runs, name: `${full} / ` });
      return;
    }
    const contexts = { ...given, env: this.#settings(entry(job, "env"), given) };
    const steps = this.#steps(entry(job, "steps"), contexts, 0);
    this.jobs.push({
      forge: "github",
      name: full,
      situation: this.#situation,
      runs,
      place,
      runner: this.#runner(entry(job, "runs-on"), given),
      environment: contexts.env,
      commands: steps.commands,
      foreign: steps.foreign,
    });
  }

  #reusable(uses: YamlText, given: Yaml | undefined, contexts: Contexts, called: Called): void {
    const file = localPath(uses.text);
    if (file === undefined) {
      this.unread.push({ what: `the workflow ${uses.text}`, why: "it is another repository's", place: uses.place });
      return;
    }
    const root = called.depth >= deepestUse ? undefined : this.#read(file, uses.place);
    if (root === undefined) return;
    const declared = this.#defaults(entry(entry(entry(root, "on") ?? entry(root, "true"), "workflow_call"), "inputs"));
    const inputs = new Map([...declared, ...this.#inputs(given, contexts)]);
    this.#workflowJobs(root, { ...called, inputs, depth: called.depth + 1 });
  }

  #steps(steps: Yaml | undefined, given: Contexts, depth: number): { commands: Job["commands"]; foreign: Foreign[]; env: Settings } {
    const commands: Job["commands"][number][] = [];
    const foreign: Foreign[] = [];
    let env = given.env;
    for (const step of itemsOf(steps)) {
      const condition = textOf(entry(step, "if"));
      if (condition !== undefined && holds(condition, this.#lookup({ ...given, env })) === false) continue;
      const contexts = { ...given, env: this.#settings(entry(step, "env"), { ...given, env }) };
      const run = entry(step, "run");
      const uses = entry(step, "uses");
      if (run?.kind === "text") {
        const source = { text: interpolateScript(run.text, this.#lookup(contexts)), place: { file: run.place.file, line: run.firstLine } };
        const read = readScript(source, contexts.env);
        commands.push(...read.commands);
        env = withSettings(env, read.forLaterSteps);
      } else if (uses?.kind === "text") {
        const inputs = this.#inputs(entry(step, "with"), contexts);
        const directory = localPath(uses.text);
        if (directory === undefined) foreign.push({ name: uses.text, inputs, place: uses.place });
        else {
          const inner = this.#action(directory, inputs, { ...contexts, env }, { place: uses.place, depth });
          commands.push(...inner.commands);
          foreign.push(...inner.foreign);
          env = inner.env;
        }
      }
    }
    return { commands, foreign, env };
  }

  /** A composite action's steps are the job's own; one that is a program or an image says nothing here. */
  #action(directory: string, given: Settings, contexts: Contexts, { place, depth }: { place: Place; depth: number }) {
    const nothing = { commands: [], foreign: [], env: contexts.env };
    if (depth >= deepestUse) return nothing;
    const file = ["action.yml", "action.yaml"].map((name) => join(directory, name)).find((name) => this.#documents.files.includes(name));
    if (file === undefined) {
      this.unread.push({ what: `the action ./${directory}`, why: "there is no action.yml", place });
      return nothing;
    }
    const root = this.#read(file, place);
    const inputs = new Map([...this.#defaults(entry(root, "inputs")), ...given]);
    return this.#steps(entry(entry(root, "runs"), "steps"), { ...contexts, inputs }, depth + 1);
  }

  #runner(runsOn: Yaml | undefined, contexts: Contexts): Runner | undefined {
    if (runsOn === undefined) return undefined;
    const labels = runsOn.kind === "map" ? [...itemsOf(entry(runsOn, "labels")), ...itemsOf(entry(runsOn, "group"))] : itemsOf(runsOn);
    const texts = labels.flatMap((label) => (label.kind === "text" ? [interpolate(label.text, this.#lookup(contexts))] : []));
    return { labels: texts, place: runsOn.place };
  }

  #settings(yaml: Yaml | undefined, contexts: Contexts): Settings {
    const added = entries(yaml).flatMap(([name, value]): Setting[] =>
      value.kind === "text"
        ? [{ name, place: value.place, textLine: value.firstLine, ...interpolate(value.text, this.#lookup(contexts)) }]
        : [],
    );
    return withSettings(contexts.env, added);
  }

  #inputs(yaml: Yaml | undefined, contexts: Contexts): Settings {
    return new Map(
      entries(yaml).flatMap(([name, value]): [string, Setting][] =>
        value.kind === "text"
          ? [[name, { name, place: value.place, textLine: value.firstLine, ...interpolate(value.text, this.#lookup(contexts)) }]]
          : [],
      ),
    );
  }

  #defaults(inputs: Yaml | undefined): Settings {
    return new Map(
      entries(inputs).flatMap(([name, input]): [string, Setting][] => {
        const value = entry(input, "default");
        return value?.kind === "text" ? [[name, { name, place: value.place, ...plain(value.text) }]] : [];
      }),
    );
  }

  /** What `matrix.x` may be, one at a time. A matrix that is computed is one of nothing known. */
  #combinations(matrix: Yaml | undefined, contexts: Contexts): readonly Settings[] {
    const setting = (name: string, value: Yaml): readonly [string, Setting][] =>
      value.kind === "text"
        ? [[name, { name, place: value.place, textLine: value.firstLine, ...interpolate(value.text, this.#lookup(contexts)) }]]
        : [];
    let combinations: readonly Settings[] = [new Map()];
    for (const [name, values] of entries(matrix)) {
      if (name === "include" || name === "exclude" || values.kind !== "list") continue;
      const more = combinations.flatMap((one) => values.items.map((value) => new Map([...one, ...setting(name, value)])));
      if (more.length > 0) combinations = more.slice(0, mostCombinations);
    }
    const included = itemsOf(entry(matrix, "include")).map(
      (each) => new Map(entries(each).flatMap(([name, value]) => setting(name, value))),
    );
    const own = combinations.filter((one) => one.size > 0 || included.length === 0);
    return [...own, ...included].slice(0, mostCombinations);
  }

  #lookup({ env, inputs, matrix }: Contexts): Lookup {
    return ([context = "", name = "", ...rest]) => {
      switch (context) {
        case "env":
          return env.get(name);
        case "inputs":
          return inputs.get(name);
        case "matrix":
          return matrix.get(name);
        case "github":
          return this.#github([name, ...rest].join("."));
        default:
          return undefined;
      }
    };
  }

  #github(name: string): Text | undefined {
    const branch = this.#situation === "main" ? this.#trusted : "some-branch";
    const pull = this.#situation === "pull-request";
    switch (name) {
      case "event_name":
        return plain(pull ? "pull_request" : "push");
      case "ref":
        return plain(pull ? "refs/pull/1/merge" : `refs/heads/${branch}`);
      case "ref_name":
        return plain(pull ? "1/merge" : branch);
      case "head_ref":
        return plain(pull ? "some-branch" : "");
      case "base_ref":
        return plain(pull ? this.#trusted : "");
      case "ref_type":
        return plain("branch");
      case "workflow":
        return plain(this.#workflowName);
      case "event.repository.default_branch":
        return plain(this.#trusted);
      default:
        return undefined;
    }
  }

  /** @param from what named it; without it, one that is there */
  #read(file: string, from?: Place): Yaml | undefined {
    if (this.#parsed.has(file)) return this.#parsed.get(file);
    const result = this.#documents.read(file);
    this.#parsed.set(file, result?.ok === true ? result.root : undefined);
    if (result?.ok === true) {
      this.files.add(file);
      return result.root;
    }
    const why = result === undefined ? "it cannot be read" : result.message;
    this.unread.push({ what: file, why, place: result === undefined ? (from ?? { file, line: 1 }) : { file, line: result.line } });
    return undefined;
  }
}

/** The branch that a push is trusted on: what `on: push` names, where that is one. */
function trustedBranch(on: Yaml | undefined): string {
  const branches = itemsOf(entry(entry(on, "push"), "branches")).flatMap((branch) => textOf(branch) ?? []);
  const plainNames = branches.filter((branch) => /^[A-Za-z0-9._/-]+$/.test(branch));
  return plainNames.includes("main") ? "main" : (plainNames[0] ?? "main");
}

function runsOn(on: Yaml | undefined, situation: Situation, trusted: string): Job["runs"] | "no" {
  const events = new Map<string, Yaml | undefined>(
    on?.kind === "map" ? on.entries : itemsOf(on).flatMap((event) => (event.kind === "text" ? [[event.text, undefined]] : [])),
  );
  // Its callers decide; where they are not in this repository, nobody here knows.
  const called = events.has("workflow_call") && events.size === 1;
  if (called) return "unknown";
  switch (situation) {
    case "pull-request":
      return ["pull_request", "pull_request_target", "merge_group"].some((event) => events.has(event)) ? "yes" : "no";
    case "branch":
      return events.has("push") && pushes(events.get("push"), "some-branch") ? "yes" : "no";
    case "main":
      if (events.has("push") && pushes(events.get("push"), trusted)) return "yes";
      // A tag, or somebody who may start it, is trusted as that branch is.
      if (entry(events.get("push"), "tags") !== undefined) return "unknown";
      return ["schedule", "workflow_dispatch", "release"].some((event) => events.has(event)) ? "unknown" : "no";
  }
}

function pushes(push: Yaml | undefined, branch: string): boolean {
  const names = (key: string): readonly string[] | undefined => {
    const filter = entry(push, key);
    return filter === undefined ? undefined : itemsOf(filter).flatMap((name) => textOf(name) ?? []);
  };
  const [only, never] = [names("branches"), names("branches-ignore")];
  if (only === undefined && never === undefined) return names("tags") === undefined;
  if (never?.some((pattern) => matchesGlob(pattern, branch)) === true) return false;
  // A later `!pattern` takes back.
  return only === undefined || only.reduce((on, each) => (matchesGlob(each.replace(/^!/, ""), branch) ? !each.startsWith("!") : on), false);
}

/** Only what is known is filled into a script: what is not stays an expression, and is named wherever it stands. */
function interpolateScript(text: string, lookup: Lookup): string {
  return text.replaceAll(/\$\{\{(.*?)\}\}/gs, (all, expression: string) => {
    const result = evaluate(expression, lookup);
    return result.known ? String(result.value ?? "") : all;
  });
}

function withSettings(settings: Settings, added: readonly Setting[]): Settings {
  return added.length === 0 ? settings : new Map([...settings, ...added.map((one) => [one.name, one] as const)]);
}

/** `./.github/actions/x` from the repository's root; undefined for another repository's or an image. */
function localPath(uses: string): string | undefined {
  if (!uses.startsWith("./")) return undefined;
  return uses.slice(2).replace(/\/+$/, "");
}

function join(directory: string, file: string): string {
  return directory === "" ? file : `${directory}/${file}`;
}
