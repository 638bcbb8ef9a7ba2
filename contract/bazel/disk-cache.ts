/** Whether a disk cache could answer too, by all that rc files and the command line say. */
import type { Execution } from "./server-log.ts";

/** From which sections of rc files a command takes its options, the weakest first; others inherit from `build`. */
const inherits: Readonly<Record<string, readonly string[]>> = {
  test: ["build", "test"],
  coverage: ["build", "test", "coverage"],
  cquery: ["build", "test", "cquery"],
};

/** As Bazel reads a boolean option (BooleanConverter). */
const platformSpecific = /^--enable_platform_specific_config(?:=(?:true|1|yes|t|y))?$/i;

/** The sections of rc files from which a command takes its options, the weakest first. */
export function sectionsOf(command: string): readonly string[] {
  return ["always", "common", ...(inherits[command] ?? ["build", ...(command === "build" ? [] : [command])])];
}

/** Configurations within configurations: Bazel refuses a loop by itself. */
const deepest = 16;

/**
 * The options as Bazel applies them: rc files' by section, then the command line's, each `--config` in its place.
 * @param platform the word that `--enable_platform_specific_config` stands for here: `linux`, `macos`
 */
export function optionsOf({ command, overrides, called }: Execution, platform: string): readonly string[] {
  const sections = sectionsOf(command);
  const entries = overrides.map((text) => {
    const [, section = "", option = ""] = /^\d+:([^=]*)=([\s\S]*)$/.exec(text) ?? [];
    return { section, option };
  });
  const of = (config: string): string[] =>
    sections.flatMap((section) => entries.filter((entry) => entry.section === section + config).map(({ option }) => option));
  const expand = (options: readonly string[], depth: number): string[] =>
    options.flatMap((option, index) => {
      const name = option.startsWith("--config=")
        ? option.slice("--config=".length)
        : option === "--config"
          ? options[index + 1]
          : undefined;
      const specific = platformSpecific.test(option) ? platform : undefined;
      const config = name ?? specific;
      return config === undefined || depth > deepest ? [option] : [option, ...expand(of(`:${config}`), depth + 1)];
    });
  return expand([...of(""), ...called.split(", ").slice(1)], 0);
}

/** Whether the command had a disk cache: the last word counts, and an empty one takes it away. */
export function hasDiskCache(execution: Execution, platform: string): boolean {
  const options = optionsOf(execution, platform);
  const end = options.indexOf("--");
  const known = end < 0 ? options : options.slice(0, end);
  const values = known.flatMap((option, index) => {
    if (option.startsWith("--disk_cache=")) return [option.slice("--disk_cache=".length)];
    return option === "--disk_cache" ? [known[index + 1] ?? ""] : [];
  });
  return (values.at(-1) ?? "") !== "";
}
