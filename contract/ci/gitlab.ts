/** GitLab: `.gitlab-ci.yml` with its local includes and child pipelines, `extends`, `!reference`, defaults and rules. */
import { conditionHolds, type Variable } from "./condition.ts";
import type { Documents } from "./documents.ts";
import type { ForgeRead } from "./github.ts";
import { matchesGlob } from "./glob.ts";
import type { Command, Job, Place, ReadJob, Runner, Setting, Settings, Situation, Text, Unread } from "./model.ts";
import { readScript } from "./script.ts";
import { expand } from "./shell.ts";
import { entries, entry, itemsOf, keyPlace, textOf, type Yaml, type YamlMap } from "./yaml.ts";

const gitlabFile = ".gitlab-ci.yml";

/** Includes may include each other, and `extends` extend: GitLab's own bounds are 150 files and 11 levels. */
const mostFiles = 150;
const deepestExtends = 11;
const mostJobs = 1000;
/** Of one job's scripts no more is read: lines. */
const mostScripts = 1000;

/** Keywords of the top that are no jobs. */
const reserved = new Set(
  "after_script before_script cache default image include pages_deploy services spec stages types variables workflow".split(" "),
);

export function readGitlab(documents: Documents, situation: Situation): ForgeRead {
  const reader = new Reader(documents, situation);
  if (documents.files.includes(gitlabFile)) reader.pipeline(gitlabFile, "");
  return { jobs: reader.jobs, files: [...reader.files], unread: reader.unread };
}

class Reader {
  readonly jobs: ReadJob[] = [];
  readonly files = new Set<string>();
  readonly unread: Unread[] = [];
  readonly #documents: Documents;
  readonly #situation: Situation;
  readonly #pipelines = new Set<string>();
  #trusted = "main";

  constructor(documents: Documents, situation: Situation) {
    this.#documents = documents;
    this.#situation = situation;
  }

  /** @param prefix of the names of a child pipeline's jobs */
  pipeline(file: string, prefix: string): void {
    if (this.#pipelines.has(file) || this.#pipelines.size >= mostFiles) return;
    this.#pipelines.add(file);
    const root = this.#file(file, undefined, new Set());
    if (root === undefined) return;
    const jobs = new Jobs(root);
    if (prefix === "") this.#trusted = trustedBranch(root);
    const globals = variablesOf(entry(root, "variables"), new Map());
    const started = this.#ruled(entry(entry(root, "workflow"), "rules"), globals);
    if (started.runs === "no") return;
    for (const [name] of entries(root)) {
      if (reserved.has(name) || name.startsWith(".") || this.jobs.length >= mostJobs) continue;
      const job = jobs.resolved(name);
      if (job?.kind === "map" && isJob(job)) this.#job(name, job, { root, jobs, started, place: keyPlace(root, name), prefix });
    }
  }

  #job(
    name: string,
    job: YamlMap,
    from: { readonly root: Yaml; readonly jobs: Jobs; readonly started: Ruled; readonly place: Place; readonly prefix: string },
  ): void {
    const inherit = entry(job, "inherit");
    const inheritedVariables = inherited(entry(inherit, "variables"), from.started.settings);
    const own = variablesOf(entry(job, "variables"), inheritedVariables);
    const rules = entry(job, "rules");
    const ruled =
      rules === undefined ? this.#only(job, own, entry(entry(from.root, "workflow"), "rules") !== undefined) : this.#ruled(rules, own);
    if (ruled.runs === "no") return;
    const runs = ruled.runs === "yes" && from.started.runs === "yes" ? "yes" : "unknown";
    this.#triggered(entry(job, "trigger"), name, from.prefix);
    const fallback = (key: string): Yaml | undefined => {
      const given = entry(job, key);
      if (given !== undefined) return given;
      const allowed = entry(inherit, "default");
      if (textOf(allowed) === "false") return undefined;
      if (allowed?.kind === "list" && !allowed.items.some((item) => textOf(item) === key)) return undefined;
      // The old spelling stands at the top.
      return entry(entry(from.root, "default"), key) ?? entry(from.root, key);
    };
    const scripts = ["before_script", "script", "after_script"].map((key) => from.jobs.flat(fallback(key)));
    const environment = expanded(ruled.settings);
    this.jobs.push({
      forge: "gitlab",
      name: `${from.prefix}${name}`,
      situation: this.#situation,
      runs,
      place: from.place,
      runner: runnerOf(from.jobs.list(fallback("tags")), environment),
      environment,
      commands: commandsOf(scripts, environment),
      foreign: [],
    });
  }

  #triggered(trigger: Yaml | undefined, name: string, prefix: string): void {
    if (trigger === undefined) return;
    const include = entry(trigger, "include");
    for (const each of itemsOf(include)) {
      const local = textOf(each) ?? textOf(entry(each, "local"));
      if (local !== undefined) this.pipeline(local.replace(/^\/+/, ""), `${prefix}${name} / `);
      else this.unread.push({ what: `the child pipeline of ${name}`, why: "it is made elsewhere", place: each.place });
    }
    if (include === undefined)
      this.unread.push({ what: `the pipeline that ${name} starts`, why: "it is another project's", place: trigger.place });
  }

  /** A file with what it includes beneath it: what it says itself counts more. */
  #file(file: string, from: Place | undefined, above: ReadonlySet<string>): Yaml | undefined {
    const result = this.#documents.read(file);
    if (result?.ok !== true) {
      const why = result === undefined ? "it cannot be read" : result.message;
      this.unread.push({ what: file, why, place: result === undefined ? (from ?? { file, line: 1 }) : { file, line: result.line } });
      return undefined;
    }
    this.files.add(file);
    let merged: Yaml | undefined;
    for (const included of this.#included(entry(result.root, "include"))) {
      if (above.has(included.file) || included.file === file || this.files.size >= mostFiles) continue;
      const root = this.#file(included.file, included.place, new Set([...above, file]));
      if (root !== undefined) merged = merged === undefined ? root : merge(merged, root);
    }
    return merged === undefined ? result.root : merge(merged, result.root);
  }

  #included(include: Yaml | undefined): readonly { readonly file: string; readonly place: Place }[] {
    return itemsOf(include).flatMap((each) => {
      const local = textOf(each) ?? textOf(entry(each, "local"));
      if (local !== undefined && !/^https?:/.test(local)) {
        const path = local.replace(/^\/+/, "");
        if (path.includes("$")) this.unread.push({ what: `the included ${path}`, why: "its name holds a variable", place: each.place });
        if (!path.includes("*")) return path.includes("$") ? [] : [{ file: path, place: each.place }];
        return this.#documents.files
          .filter((file) => matchesGlob(path, file))
          .slice(0, mostFiles)
          .map((file) => ({ file, place: each.place }));
      }
      const elsewhere = local ?? entries(each).map(([key, value]) => `${key} ${textOf(value) ?? "…"}`)[0] ?? "something";
      this.unread.push({ what: `the included ${elsewhere}`, why: "it is not in this repository", place: each.place });
      return [];
    });
  }

  #ruled(rules: Yaml | undefined, settings: Settings): Ruled {
    if (rules === undefined) return { runs: "yes", settings };
    let unknown = false;
    for (const rule of itemsOf(rules).flatMap((each) => (each.kind === "list" ? each.items : [each]))) {
      const condition = textOf(entry(rule, "if"));
      const holds = condition === undefined ? true : conditionHolds(condition, this.#variable(settings));
      if (holds === false) continue;
      // Whether files changed is not known here.
      const sure = holds === true && entry(rule, "changes") === undefined && entry(rule, "exists") === undefined;
      const never = textOf(entry(rule, "when")) === "never";
      if (never && sure) return { runs: unknown ? "unknown" : "no", settings };
      if (never) unknown = true;
      else return { runs: sure && !unknown ? "yes" : "unknown", settings: variablesOf(entry(rule, "variables"), settings) };
    }
    return { runs: unknown ? "unknown" : "no", settings };
  }

  /** `only` and `except`, which rules took the place of: merge requests only where they are named. */
  #only(job: YamlMap, settings: Settings, startsMergeRequests: boolean): Ruled {
    const refs = (key: string): readonly string[] | undefined => {
      const given = entry(job, key);
      const list = given?.kind === "map" ? entry(given, "refs") : given;
      return list === undefined ? undefined : itemsOf(list).flatMap((item) => textOf(item) ?? []);
    };
    const matches = (ref: string): boolean => {
      switch (this.#situation) {
        case "pull-request":
          return ref === "merge_requests" || ref === "external_pull_requests";
        case "branch":
          return ref === "branches" || ref === "pushes" || ref.startsWith("/");
        case "main":
          return ref === "branches" || ref === "pushes" || ref === this.#trusted || ref.startsWith("/");
      }
    };
    const [only, except] = [refs("only"), refs("except")];
    if (except?.some(matches) === true) return { runs: "no", settings };
    if (only !== undefined) return { runs: only.some(matches) ? "yes" : "no", settings };
    // Without rules of its own a job takes part in a merge request's pipeline only where `workflow: rules` starts one.
    return { runs: this.#situation === "pull-request" && !startsMergeRequests ? "no" : "yes", settings };
  }

  #variable(settings: Settings): Variable {
    const pull = this.#situation === "pull-request";
    const branch = this.#situation === "main" ? this.#trusted : "some-branch";
    const predefined: Readonly<Record<string, string | null>> = {
      CI: "true",
      CI_PIPELINE_SOURCE: pull ? "merge_request_event" : "push",
      CI_DEFAULT_BRANCH: this.#trusted,
      CI_COMMIT_BRANCH: pull ? null : branch,
      CI_COMMIT_REF_NAME: pull ? "some-branch" : branch,
      CI_COMMIT_TAG: null,
      CI_COMMIT_REF_PROTECTED: this.#situation === "main" ? "true" : "false",
      CI_MERGE_REQUEST_ID: pull ? "1" : null,
      CI_MERGE_REQUEST_IID: pull ? "1" : null,
      CI_MERGE_REQUEST_TARGET_BRANCH_NAME: pull ? this.#trusted : null,
      CI_MERGE_REQUEST_SOURCE_BRANCH_NAME: pull ? "some-branch" : null,
      CI_OPEN_MERGE_REQUESTS: null,
      GITLAB_CI: "true",
    };
    return (name) => {
      const own = settings.get(name);
      if (own !== undefined) return own;
      const value = Object.hasOwn(predefined, name) ? predefined[name] : undefined;
      return value === undefined || value === null ? value : { text: value, unknown: [] };
    };
  }
}

interface Ruled {
  readonly runs: Job["runs"] | "no";
  readonly settings: Settings;
}

const usualBranches = ["main", "master", "trunk"];

/** The default branch is the project's setting: the usual name that the pipeline's conditions speak of, or main. */
function trustedBranch(root: Yaml): string {
  const ofJobs = entries(root).flatMap(([, job]) => [
    ...itemsOf(entry(job, "rules")).flatMap((rule) => /"([^"]*)"|'([^']*)'/.exec(textOf(entry(rule, "if")) ?? "")?.slice(1) ?? []),
    ...itemsOf(entry(job, "only")).map(textOf),
  ]);
  return usualBranches.find((branch) => ofJobs.includes(branch)) ?? "main";
}

/** A pipeline's jobs with what they extend. */
class Jobs {
  readonly #root: Yaml;
  readonly #resolved = new Map<string, Yaml | undefined>();
  #flattened = 0;

  constructor(root: Yaml) {
    this.#root = root;
  }

  resolved(name: string, depth = 0): Yaml | undefined {
    if (this.#resolved.has(name)) return this.#resolved.get(name);
    const job = entry(this.#root, name);
    if (job?.kind !== "map" || depth > deepestExtends) return job;
    // Where one extends itself, what it says itself is all.
    this.#resolved.set(name, job);
    let base: Yaml | undefined;
    for (const parent of itemsOf(entry(job, "extends"))) {
      const parents = textOf(parent);
      const resolved = parents === undefined ? undefined : this.resolved(parents, depth + 1);
      if (resolved !== undefined) base = base === undefined ? resolved : merge(base, resolved);
    }
    const full = base === undefined ? job : merge(base, job);
    this.#resolved.set(name, full);
    return full;
  }

  /** The lines of a script: lists in lists and references are followed. */
  flat(script: Yaml | undefined, depth = 0): readonly { readonly text: string; readonly place: Place }[] {
    if (script === undefined || depth > deepestExtends || this.#flattened > mostScripts * mostJobs) return [];
    if (script.kind === "list") {
      const target = script.reference ? this.#referenced(script.items) : undefined;
      if (script.reference) return this.flat(target, depth + 1);
      return script.items.flatMap((item) => this.flat(item, depth + 1)).slice(0, mostScripts);
    }
    if (script.kind === "map") return [];
    this.#flattened += 1;
    return [{ text: script.text, place: { file: script.place.file, line: script.firstLine } }];
  }

  list(yaml: Yaml | undefined): Yaml | undefined {
    return yaml?.kind === "list" && yaml.reference ? this.#referenced(yaml.items) : yaml;
  }

  #referenced(path: readonly Yaml[]): Yaml | undefined {
    const [first, ...rest] = path.flatMap((part) => textOf(part) ?? []);
    if (first === undefined) return undefined;
    return rest.reduce<Yaml | undefined>((at, name) => entry(at, name), this.resolved(first));
  }
}

/** GitLab's deep merge: maps key by key, everything else is replaced. */
function merge(base: Yaml, over: Yaml): Yaml {
  if (base.kind !== "map" || over.kind !== "map") return over;
  const merged = new Map(base.entries);
  for (const [name, value] of over.entries) {
    const below = merged.get(name);
    merged.set(name, below === undefined ? value : merge(below, value));
  }
  return { kind: "map", place: over.place, entries: merged, keys: new Map([...base.keys, ...over.keys]) };
}

function isJob(job: YamlMap): boolean {
  return ["script", "trigger", "run", "extends"].some((key) => job.entries.has(key));
}

function variablesOf(yaml: Yaml | undefined, below: Settings): Settings {
  const own = entries(yaml).flatMap(([name, value]): [string, Setting][] => {
    const text = value.kind === "map" ? entry(value, "value") : value;
    return text?.kind === "text" ? [[name, { name, place: value.place, textLine: text.firstLine, text: text.text, unknown: [] }]] : [];
  });
  return new Map([...below, ...own]);
}

function inherited(allowed: Yaml | undefined, settings: Settings): Settings {
  if (textOf(allowed) === "false") return new Map();
  if (allowed?.kind !== "list") return settings;
  const names = allowed.items.flatMap((item) => textOf(item) ?? []);
  return new Map([...settings].filter(([name]) => names.includes(name)));
}

/** Variables may name each other; those that the project or GitLab gives are unknown. */
function expanded(settings: Settings): Settings {
  const known = new Map<string, Text>();
  const value = (name: string): Text | undefined => {
    const setting = settings.get(name);
    if (setting === undefined || known.has(name)) return known.get(name);
    // One that names itself stays as it is written.
    known.set(name, { text: setting.text, unknown: [`$${name}`] });
    const filled = expand(setting.text, value);
    known.set(name, filled);
    return filled;
  };
  return new Map([...settings].map(([name, setting]) => [name, { ...setting, ...value(name) }]));
}

function runnerOf(tags: Yaml | undefined, environment: Settings): Runner | undefined {
  if (tags === undefined) return undefined;
  const labels = itemsOf(tags).flatMap((tag) => textOf(tag) ?? []);
  return { labels: labels.map((label) => expand(label, (name) => environment.get(name))), place: tags.place };
}

/** `before_script` and `script` run in one shell, `after_script` in another. */
function commandsOf(scripts: readonly (readonly { text: string; place: Place }[])[], environment: Settings): readonly Command[] {
  const [before = [], main = [], after = []] = scripts;
  const commands: Command[] = [];
  for (const shell of [[...before, ...main], after]) {
    let here = environment;
    for (const source of shell) {
      const read = readScript(source, here);
      commands.push(...read.commands);
      here = read.environment;
    }
  }
  return commands;
}
