/** What a command knows of the process that it runs in. */
import type { Environment } from "../contract/environment.ts";
import type { Paths } from "../contract/paths.ts";
import type { Output } from "./output/output.ts";
import type { ProfileChoice } from "./profile.ts";

export interface Context {
  readonly env: Environment;
  readonly cwd: string;
  readonly home: string;
  readonly paths: Paths;
  /** A valid profile name, and what chose it. */
  readonly profile: string;
  readonly profileChoice: ProfileChoice;
  readonly output: Output;
}
