/** flake.nix as text: caches and keys of its `nixConfig`, programs called `bazel` that it makes, its shell hooks. Never evaluated. */
import { flakeCaches } from "../nix/flake.ts";
import { nixPublicKey } from "../nix/key.ts";
import type { Flake, Place, Setting } from "./model.ts";
import type { ScriptSource } from "./script.ts";

export interface FlakeRead {
  readonly flake: Flake;
  readonly hooks: readonly ScriptSource[];
}

/** A text like this is no flake.nix that people write: characters. */
const longest = 262_144;

export function readFlake(text: string, file: string): FlakeRead {
  // Comments become spaces, so that every line keeps its number.
  const code = text
    .slice(0, longest)
    .replaceAll(/\/\*[\s\S]*?(?:\*\/|$)/g, (comment) => comment.replaceAll(/[^\n]/g, " "))
    .replaceAll(/(^|\s)#.*$/gm, "$1");
  const lines = code.split("\n");
  const find = (word: string): Place => ({
    file,
    line:
      Math.max(
        0,
        lines.findIndex((line) => line.includes(word)),
      ) + 1,
  });
  const setting = (name: string, word: string): Setting => ({ name, text: word, unknown: [], place: find(word) });
  const keys = [...code.matchAll(/"([^"\n]{1,400})"/g)]
    .flatMap(([, words = ""]) => words.split(/\s+/))
    .filter((word) => nixPublicKey.test(word));
  const shims = lines.flatMap((line, at) => (isShim(line, lines.slice(at, at + 12).join("\n")) ? [{ file, line: at + 1 }] : []));
  return {
    flake: {
      substituters: flakeCaches(text).substituters.map((url) => setting("substituters", url)),
      keys: [...new Set(keys)].map((key) => setting("trusted-public-keys", key)),
      bazelShims: shims,
      guarded: /\bflywheel\.(?:lib\.(?:mkFlywheelShell|shellHook)|packages\b)|\bmkFlywheelShell\b/.test(code),
    },
    hooks: hooksOf(code, file),
  };
}

/** `writeShellScriptBin "bazel"` and its kind, which runs bazelisk: what the companion's own package takes the place of. */
function isShim(line: string, below: string): boolean {
  if (/writeShellScriptBin\s+"bazel"/.test(line)) return true;
  return /writeShellApplication\b/.test(line) && /name\s*=\s*"bazel"/.test(below);
}

function hooksOf(code: string, file: string): readonly ScriptSource[] {
  return [...code.matchAll(/\bshellHook\s*=\s*(?:''((?:[^']|'(?!')|''['$\\])*)''|"((?:[^"\\]|\\.)*)")/g)].map((match) => {
    const before = code.slice(0, match.index + match[0].indexOf(match[1] ?? match[2] ?? ""));
    return { text: (match[1] ?? match[2] ?? "").replaceAll("''${", "${"), place: { file, line: before.split("\n").length } };
  });
}
