/** A Justfile's recipes, read lightly: headers, the lines below them, continuations; what `{{ … }}` gives is not known. */
import type { Place } from "./model.ts";

export interface Recipe {
  readonly name: string;
  readonly place: Place;
  /** Recipes that it asks for first. */
  readonly needs: readonly string[];
  readonly text: string;
  readonly textPlace: Place;
}

export interface Justfile {
  readonly recipes: readonly Recipe[];
  /** `export X := "…"`, and what the file sets beside: `name := …`. */
  readonly assignments: readonly { readonly name: string; readonly text: string; readonly exported: boolean; readonly place: Place }[];
}

const mostRecipes = 1000;
const header = /^@?([A-Za-z_][A-Za-z0-9_-]*)((?:\s(?:[^:'"]|'[^']*'|"[^"]*")*)?):(?!=)(.*)$/;
const assignment = /^(export\s+)?([A-Za-z_][A-Za-z0-9_-]*)\s*:=\s*(.*)$/;

export function readJustfile(text: string, file: string): Justfile {
  const recipes: Recipe[] = [];
  const assignments: Justfile["assignments"][number][] = [];
  const lines = text.split("\n");
  for (let at = 0; at < lines.length && recipes.length < mostRecipes; at += 1) {
    const line = (lines[at] ?? "").replace(/\r$/, "");
    const set = assignment.exec(line);
    if (set !== null) {
      const [, exported, name = "", value = ""] = set;
      assignments.push({ name, text: quoted(value), exported: exported !== undefined, place: { file, line: at + 1 } });
      continue;
    }
    const recipe = /^[\s#[]/.test(line) ? null : header.exec(line.slice(0, 1000));
    if (recipe === null) continue;
    const body: string[] = [];
    for (let below = at + 1; below < lines.length; below += 1) {
      const each = lines[below] ?? "";
      if (each.trim() !== "" && !/^[ \t]/.test(each)) break;
      // What just itself reads of a line: quiet, and going on after a failure.
      body.push(each.replace(/^([ \t]+)[@-]{1,2}(?!-)/, "$1"));
    }
    const place = { file, line: at + 1 };
    const needs = (recipe[3] ?? "").replace(/#.*/, "").match(/[A-Za-z_][A-Za-z0-9_-]*/g) ?? [];
    recipes.push({ name: recipe[1] ?? "", place, needs, text: body.join("\n"), textPlace: { file, line: at + 2 } });
    at += body.length;
  }
  return { recipes, assignments };
}

/** A plain text; what is computed stays as it is written, and is named as unknown wherever a shell would use it. */
function quoted(value: string): string {
  const match = /^(?:"([^"\\]*)"|'([^']*)')\s*(?:#.*)?$/.exec(value.trim());
  return match === null ? `$(${value.trim()})` : (match[1] ?? match[2] ?? "");
}
