/** Everything that a repository says of its CI, read from its files. Pure: the files come from whoever may read them. */
import { type Manifest, manifestName, parseManifest } from "../manifest.ts";
import { callsOf, type Library } from "./calls.ts";
import { readMarkdown } from "./docs.ts";
import { documentsOf } from "./documents.ts";
import { type FlakeRead, readFlake } from "./flake.ts";
import { type ForgeRead, readGithub } from "./github.ts";
import { readGitlab } from "./gitlab.ts";
import { type Recipe, readJustfile } from "./just.ts";
import {
  type Call,
  type Job,
  type Line,
  plain,
  type ReadJob,
  type Repository,
  type Script,
  type Setting,
  type Settings,
  situations,
  type Tree,
  type Unread,
} from "./model.ts";
import type { RcLine } from "./rc.ts";
import { readScript, type ScriptSource } from "./script.ts";

/** Of documentation no more files are looked at. */
const mostDocuments = 200;

const justfile = /(?:^|\/)(?:\.?justfile|[^/]*\.just|justfile\.[A-Za-z0-9_-]+)$/i;
const documentation = /^(?:[^/]*\.md|(?:docs?|examples?)\/.*\.(?:md|markdown))$/i;
/** What a history says of the past is no drift. */
const history = /(?:^|\/)(?:change(?:s|log)|history|releases?|news)[^/]*$/i;
const exampleScript = /^examples?\/.*\.(?:sh|bash)$/i;
const shellScript = /\.(?:sh|bash)$/i;
/** What stands there is for tests: it is nobody's to run. */
const forTests = /(?:^|\/)(?:tests?|testdata|__tests__|fixtures)\//;
const bazelVersionFile = ".bazelversion";

/**
 * @param rc the lines of the repository's own rc files, by paths from its root
 * @param nestedRc those of the workspaces within it
 */
export function readRepository(tree: Tree, rc: readonly RcLine[], nestedRc: readonly RcLine[] = []): Repository {
  const justs = tree.files
    .filter((file) => justfile.test(file) && !forTests.test(file))
    .flatMap((file) => within(tree, file, readJustfile));
  const recipes = new Map(justs.flatMap((just) => just.recipes.map((recipe) => [recipe.name, recipe] as const)).toReversed());
  const library = libraryOf(tree, recipes);
  const yaml = documentsOf(tree);
  const forges = new Map(situations.map((situation) => [situation, [readGithub(yaml, situation), readGitlab(yaml, situation)]] as const));
  const reads = [...forges.values()].flat();
  const flake = within(tree, "flake.nix", readFlake)[0];
  const lines = linesOf(tree, reads, [...rc, ...nestedRc]);
  const withCalls = (job: ReadJob): Job => ({ ...job, calls: guarded(job, callsOf(job.commands, library)) });
  const jobsIn = (situation: (typeof situations)[number]): readonly Job[] =>
    (forges.get(situation) ?? []).flatMap(({ jobs }) => jobs.map(withCalls));
  const described = (read: (forge: readonly ForgeRead[]) => ForgeRead | undefined): readonly string[] => [
    ...new Set([...forges.values()].flatMap((forge) => read(forge)?.files ?? [])),
  ];
  return {
    jobs: { main: jobsIn("main"), branch: jobsIn("branch"), "pull-request": jobsIn("pull-request") },
    scripts: [...recipeScripts(recipes), ...hookScripts(flake, library), ...envrc(tree, library), ...documents(tree)],
    rc,
    nestedRc,
    manifest: manifestOf(tree),
    flake: flake?.flake,
    bazelVersion: bazelVersion(tree),
    lines,
    unread: distinct([...reads.flatMap(({ unread }) => unread), ...cutOff(tree)]),
    described: { github: described(([github]) => github), gitlab: described(([, gitlab]) => gitlab) },
  };
}

function within<T>(tree: Tree, file: string, read: (text: string, file: string) => T): readonly T[] {
  const text = tree.files.includes(file) ? tree.read(file) : undefined;
  return text === undefined ? [] : [read(text, file)];
}

function libraryOf(tree: Tree, recipes: ReadonlyMap<string, Recipe>): Library {
  const files = new Set(tree.files);
  return {
    recipe: (name) => {
      const recipe = recipes.get(name);
      return recipe === undefined ? undefined : { source: { text: recipe.text, place: recipe.textPlace }, needs: recipe.needs };
    },
    script: (file) => {
      if (!files.has(file) || !shellScript.test(file)) return undefined;
      const text = tree.read(file);
      return text === undefined ? undefined : { text, place: { file, line: 1 } };
    },
  };
}

const nothing: Settings = new Map();

function scriptOf(kind: Script["kind"], name: string, source: ScriptSource, library: Library): Script {
  const { commands } = readScript(source, nothing);
  return { kind, name, place: source.place, commands, calls: callsOf(commands, library) };
}

/** A job that puts the shim on its PATH calls the guard by the tool's name. */
function guarded({ commands }: ReadJob, calls: readonly Call[]): readonly Call[] {
  const shim = /\bflywheel shim path\b/;
  const placed = commands.some(
    ({ words, settings }) => shim.test(words.map(({ text }) => text).join(" ")) || settings.some(({ text }) => shim.test(text)),
  );
  return placed ? calls.map((call) => (call.way === "plain" ? { ...call, way: "guard" } : call)) : calls;
}

/** A script that others are called from is followed where they stand, not again from here. */
const noLibrary: Library = { recipe: () => undefined, script: () => undefined };

function recipeScripts(recipes: ReadonlyMap<string, Recipe>): readonly Script[] {
  return [...recipes.values()].map((recipe) => ({
    ...scriptOf("recipe", recipe.name, { text: recipe.text, place: recipe.textPlace }, noLibrary),
    place: recipe.place,
  }));
}

function hookScripts(read: FlakeRead | undefined, library: Library): readonly Script[] {
  return (read?.hooks ?? []).map((hook) => scriptOf("shell-hook", "shellHook", hook, library));
}

function envrc(tree: Tree, library: Library): readonly Script[] {
  return within(tree, ".envrc", (text, file) => scriptOf("envrc", file, { text, place: { file, line: 1 } }, library));
}

function documents(tree: Tree): readonly Script[] {
  const markdown = tree.files.filter((file) => documentation.test(file) && !history.test(file)).slice(0, mostDocuments);
  const blocks = markdown.flatMap((file) =>
    within(tree, file, readMarkdown).flatMap((read) => read.blocks.map((block) => scriptOf("docs", file, block, noLibrary))),
  );
  const examples = tree.files.filter((file) => exampleScript.test(file)).slice(0, mostDocuments);
  const scripts = examples.flatMap((file) =>
    within(tree, file, (text) => scriptOf("docs", file, { text, place: { file, line: 1 } }, noLibrary)),
  );
  return [...blocks, ...scripts];
}

/** Where places are looked for that no longer exist: whatever is read, without its comments. */
function linesOf(tree: Tree, reads: readonly ForgeRead[], rc: readonly RcLine[]): readonly Line[] {
  const code = new Set([
    ...reads.flatMap(({ files }) => files),
    ...rc.map(({ file }) => file),
    ...tree.files.filter((file) => (justfile.test(file) || shellScript.test(file)) && !forTests.test(file)),
    ...["flake.nix", ".envrc", manifestName, bazelVersionFile],
  ]);
  const plainLines = [...code].flatMap((file) =>
    within(tree, file, (text) =>
      text.split("\n").map((line, at) => ({ text: withoutComment(line), place: { file, line: at + 1 } })),
    ).flat(),
  );
  const markdown = tree.files.filter((file) => documentation.test(file) && !history.test(file)).slice(0, mostDocuments);
  return [...plainLines, ...markdown.flatMap((file) => within(tree, file, readMarkdown).flatMap((read) => read.lines))];
}

function withoutComment(line: string): string {
  return line.replace(/(?:^|\s)#.*$/s, "");
}

function manifestOf(tree: Tree): Manifest {
  return parseManifest(tree.files.includes(manifestName) ? tree.read(manifestName) : undefined);
}

function bazelVersion(tree: Tree): Setting | undefined {
  const [text] = within(tree, bazelVersionFile, (content) => content.split("\n")[0]?.trim() ?? "");
  if (text === undefined || text === "") return undefined;
  return { name: bazelVersionFile, place: { file: bazelVersionFile, line: 1 }, ...plain(text) };
}

function cutOff({ cut }: Tree): readonly Unread[] {
  const what = "the directories furthest from the root";
  return cut ? [{ what, why: "there are more files than are looked at", place: { file: ".", line: 1 } }] : [];
}

function distinct(unread: readonly Unread[]): readonly Unread[] {
  return [...new Map(unread.map((one) => [`${one.place.file}:${one.place.line}:${one.what}`, one])).values()];
}
