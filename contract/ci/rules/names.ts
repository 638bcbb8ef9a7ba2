/** Words of the fleet's that a repository sets where it should not, or under a name of its own. */
import type { Setting } from "../model.ts";
import { distinctSettings, jobsOnce, linesOf, type Rule } from "./rule.ts";

const rederivedLine = linesOf("mode-rederived");
const privateLine = linesOf("private-name");
const flakeLine = linesOf("flake-bazel");

const modeVariable = "GF_BAZEL_SUBSTRATE_MODE";

/** A mode that a shell works out for itself agrees with itself whatever is attached. */
export const modeRederived: Rule = {
  id: "mode-rederived",
  look: ({ repository }) =>
    distinctSettings(
      repository.scripts
        .filter(({ kind }) => kind === "envrc" || kind === "shell-hook" || kind === "recipe")
        .flatMap(({ commands }) => commands.flatMap(({ settings }) => settings.filter(({ name }) => name === modeVariable))),
    ).map(({ text, place }) =>
      rederivedLine("drift", `the substrate mode is set by the shell: ${text}`, {
        places: [place],
        why: "a mode that is derived where it is declared can no longer disagree with what is attached",
        next: 'eval "$(flywheel env)" in its place, or use flywheel in an .envrc',
      }),
    ),
};

const privateName = /^(?!GF_)([A-Z][A-Z0-9]*)_(BAZEL_SUBSTRATE_MODE|BAZEL_REMOTE_EXECUTION_PLATFORM|FLYWHEEL_PROFILE_STATE)$/;

export const privateNames: Rule = {
  id: "private-name",
  look({ repository }) {
    const jobs = jobsOnce(repository).flatMap((job) => [
      ...job.environment.values(),
      ...job.commands.flatMap(({ settings, environment }) => [...settings, ...environment.values()]),
    ]);
    const scripts = repository.scripts.flatMap(({ commands }) => commands.flatMap(({ settings }) => settings));
    const found = distinctSettings([...jobs, ...scripts]).flatMap((setting: Setting) => {
      const match = privateName.exec(setting.name);
      return match === null ? [] : [{ setting, fleet: `GF_${match[2]}` }];
    });
    return found.map(({ setting, fleet }) =>
      privateLine("drift", `${setting.name} is a private name`, {
        places: [setting.place],
        why: `nothing of the fleet reads it: the contract knows ${fleet}`,
        next: `call it ${fleet}`,
      }),
    );
  },
};

export const flakeBazel: Rule = {
  id: "flake-bazel",
  look: ({ repository }) =>
    (repository.flake?.bazelShims ?? []).map((place) =>
      flakeLine("drift", "the flake makes a bazel of its own", {
        places: [place],
        why: "in its shell that one is found before the guard",
        next: "packages = [ flywheel.packages.${system}.bazel ];",
      }),
    ),
};
