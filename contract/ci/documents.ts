/** The YAML files of a repository, each parsed once for all the situations that CI is looked at in. */
import type { Tree } from "./model.ts";
import { readYaml, type YamlResult } from "./yaml.ts";

export interface Documents {
  readonly files: readonly string[];
  /** undefined: no such file, or none that should be read. */
  read(file: string): YamlResult | undefined;
}

export function documentsOf(tree: Tree): Documents {
  const parsed = new Map<string, YamlResult | undefined>();
  const parse = (file: string): YamlResult | undefined => {
    const text = tree.read(file);
    return text === undefined ? undefined : readYaml(text, file);
  };
  return {
    files: tree.files,
    read: (file) => {
      if (!parsed.has(file)) parsed.set(file, parse(file));
      return parsed.get(file);
    },
  };
}
