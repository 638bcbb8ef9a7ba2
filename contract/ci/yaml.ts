/**
 * YAML with the line of everything in it. Anchors and merges are followed by sharing, never by copying; a document that
 * would grow beyond a bound once it is written out (an alias bomb) is refused.
 */
import { isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument } from "yaml";
import { messageOf } from "../errors.ts";
import { printable } from "../text.ts";
import type { Place } from "./model.ts";

export interface YamlText {
  readonly kind: "text";
  readonly place: Place;
  /** A block's first line, below its `|`; otherwise the line that it begins on. */
  readonly firstLine: number;
  readonly text: string;
  /** It is no string but a number, a boolean or nothing. */
  readonly bare: boolean;
}

export interface YamlList {
  readonly kind: "list";
  readonly place: Place;
  readonly items: readonly Yaml[];
  /** GitLab's `!reference [job, key]`. */
  readonly reference: boolean;
}

export interface YamlMap {
  readonly kind: "map";
  readonly place: Place;
  readonly entries: ReadonlyMap<string, Yaml>;
  /** Where each key stands. */
  readonly keys: ReadonlyMap<string, Place>;
}

export type Yaml = YamlText | YamlList | YamlMap;

export type YamlResult =
  | { readonly ok: true; readonly root: Yaml }
  | { readonly ok: false; readonly message: string; readonly line: number };

/** Larger, written out, is no description of a CI: nodes. */
const mostNodes = 50_000;
/** Nor is a longer one: lines. */
const mostLines = 10_000;
/** Deeper is none either. */
const deepest = 60;
/** Beyond these a flow collection nests too deeply for any parser's stack: characters. */
const mostOpenBrackets = 200;

class Refused extends Error {}

/** @param file its path, for places. Never throws. */
export function readYaml(text: string, file: string): YamlResult {
  if (text.split("\n", mostLines + 1).length > mostLines)
    return { ok: false, message: `it has more than ${mostLines} lines`, line: mostLines };
  if (nestsTooDeeply(text)) return { ok: false, message: "it nests too deeply", line: 1 };
  const lines = new LineCounter();
  try {
    // Duplicate keys are looked for by comparing each with each; here the last one counts.
    const document = parseDocument(text, { lineCounter: lines, uniqueKeys: false, merge: true, logLevel: "silent", prettyErrors: false });
    const fault = document.errors[0];
    if (fault !== undefined)
      return { ok: false, message: printable(messageOf(fault), 160), line: Math.max(1, lines.linePos(fault.pos[0]).line) };
    return { ok: true, root: new Reader(file, lines).node(document.contents, 0).yaml };
  } catch (error) {
    const message = error instanceof Refused ? error.message : `it cannot be understood: ${printable(messageOf(error), 160)}`;
    return { ok: false, message, line: 1 };
  }
}

function nestsTooDeeply(text: string): boolean {
  let depth = 0;
  for (const character of text) {
    if (character === "[" || character === "{") depth += 1;
    else if (character === "]" || character === "}") depth = Math.max(0, depth - 1);
    if (depth > mostOpenBrackets) return true;
  }
  return /^(?:[-?:] ?){64}/m.test(text);
}

/** A node with how many it is, written out. */
interface Sized {
  readonly yaml: Yaml;
  readonly size: number;
}

class Reader {
  readonly #anchors = new Map<string, Sized>();
  readonly #file: string;
  readonly #lines: LineCounter;

  constructor(file: string, lines: LineCounter) {
    this.#file = file;
    this.#lines = lines;
  }

  node(node: unknown, depth: number): Sized {
    if (depth > deepest) throw new Refused("it nests too deeply");
    if (isAlias(node)) {
      const target = this.#anchors.get(node.source);
      // Unknown, or of a collection that this alias stands in.
      if (target === undefined) throw new Refused(`the alias *${printable(node.source, 60)} names nothing before it`);
      return target;
    }
    const sized = this.#made(node, depth);
    if (sized.size > mostNodes) throw new Refused("written out, with its aliases, it is too large");
    const anchor = isScalar(node) || isMap(node) || isSeq(node) ? node.anchor : undefined;
    if (anchor !== undefined) this.#anchors.set(anchor, sized);
    return sized;
  }

  #made(node: unknown, depth: number): Sized {
    if (isMap(node)) return this.#map(node.items, this.#place(node), depth);
    if (isSeq(node)) {
      const items = node.items.map((item) => this.node(item, depth + 1));
      const reference = node.tag === "!reference";
      return { yaml: { kind: "list", place: this.#place(node), items: items.map(({ yaml }) => yaml), reference }, size: sum(items) };
    }
    if (isScalar(node)) {
      const place = this.#place(node);
      const block = node.type === "BLOCK_LITERAL" || node.type === "BLOCK_FOLDED";
      const bare = typeof node.value !== "string";
      // As it is written: GitHub and GitLab hand `1.10` and `true` on as text.
      const text = typeof node.value === "string" ? node.value : node.value === null ? "" : (node.source ?? String(node.value));
      return { yaml: { kind: "text", place, firstLine: place.line + (block ? 1 : 0), text, bare }, size: 1 };
    }
    return { yaml: { kind: "text", place: { file: this.#file, line: 1 }, firstLine: 1, text: "", bare: true }, size: 1 };
  }

  #map(pairs: readonly { readonly key: unknown; readonly value: unknown }[], place: Place, depth: number): Sized {
    const own = new Map<string, Yaml>();
    const merged = new Map<string, Yaml>();
    const keys = new Map<string, Place>();
    let size = 1;
    for (const { key, value } of pairs) {
      const read = this.node(value, depth + 1);
      size += read.size;
      if (!isScalar(key)) continue;
      const name = String(key.source ?? key.value);
      if (name !== "<<") {
        const at = this.#place(key);
        own.set(name, lined(read.yaml, at, value));
        keys.set(name, at);
      } else for (const from of read.yaml.kind === "list" ? read.yaml.items : [read.yaml]) mergeMissing(merged, keys, from);
    }
    return { yaml: { kind: "map", place, entries: new Map([...merged, ...own]), keys }, size };
  }

  #place(node: { readonly range?: readonly number[] | null | undefined }): Place {
    return { file: this.#file, line: Math.max(1, this.#lines.linePos(node.range?.[0] ?? 0).line) };
  }
}

/** An empty value stands nowhere: it has its key's line. */
function lined(yaml: Yaml, key: Place, value: unknown): Yaml {
  return value === null ? { kind: "text", place: key, firstLine: key.line, text: "", bare: true } : yaml;
}

/** Of several maps that are merged the first counts (YAML's merge key). */
function mergeMissing(into: Map<string, Yaml>, keys: Map<string, Place>, from: Yaml): void {
  if (from.kind !== "map") return;
  for (const [name, value] of from.entries) {
    if (into.has(name)) continue;
    into.set(name, value);
    if (!keys.has(name)) keys.set(name, from.keys.get(name) ?? value.place);
  }
}

function sum(items: readonly Sized[]): number {
  return items.reduce((total, { size }) => total + size, 1);
}

export function entry(yaml: Yaml | undefined, name: string): Yaml | undefined {
  return yaml?.kind === "map" ? yaml.entries.get(name) : undefined;
}

/** Where a key stands; the map's own place where it has none. */
export function keyPlace(yaml: Yaml, name: string): Place {
  return (yaml.kind === "map" ? yaml.keys.get(name) : undefined) ?? yaml.place;
}

export function entries(yaml: Yaml | undefined): readonly (readonly [string, Yaml])[] {
  return yaml?.kind === "map" ? [...yaml.entries] : [];
}

export function textOf(yaml: Yaml | undefined): string | undefined {
  return yaml?.kind === "text" ? yaml.text : undefined;
}

/** A list, or the one that stands in its place. */
export function itemsOf(yaml: Yaml | undefined): readonly Yaml[] {
  if (yaml === undefined) return [];
  return yaml.kind === "list" ? yaml.items : [yaml];
}
