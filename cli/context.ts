/** What a command knows of the process that it runs in. */
import type { Environment } from "../contract/environment.ts";
import type { Paths } from "../contract/paths.ts";
import type { Output } from "./output/output.ts";

export interface Context {
  readonly env: Environment;
  readonly cwd: string;
  readonly home: string;
  readonly paths: Paths;
  /** `--profile`, else GF_PROFILE, else `default`: a valid profile name. */
  readonly profile: string;
  readonly output: Output;
}
