/** The system's service for the daemon: whether its files are there, as this flywheel would write them, and can start anything. */
import { printable } from "../../contract/text.ts";
import { inspect, missingProgram, type Unit } from "../service/inspect.ts";
import { installation } from "../service/install.ts";
import { managerOf } from "../service/manager.ts";
import { type Facts, read } from "./facts.ts";
import { type Check, checksOf } from "./report.ts";

const { ok, warn, fail } = checksOf("service");

/** Looks at files alone: what the manager itself makes of them, `flywheel service status` asks. */
export function checkService({ env, home, paths }: Facts): readonly Check[] {
  const found = read(() => {
    const place = { env, home, platform: process.platform, uid: process.getuid?.() ?? 0 };
    return managerOf(place, installation(paths, env)).files.map(({ file, text }) => inspect(file, text));
  });
  // A platform without a service, or directories that none can name: the checks of those say so.
  if (!found.ok) return [];
  const there = found.value.filter(({ state }) => state !== "absent");
  if (there.length === 0) return [ok("service", "not installed: whatever needs the daemon starts it")];
  const wrong = found.value.filter(({ state }) => state !== "current").map(check);
  const gone = there.flatMap((unit) => missing(unit));
  if (wrong.length + gone.length > 0) return [...gone, ...wrong];
  return [ok("service", "installed, as this flywheel writes it", { reason: there.map(({ file }) => printable(file, 300)).join(", ") })];
}

function missing(unit: Unit): readonly Check[] {
  const program = missingProgram(unit);
  if (program === undefined) return [];
  return [
    fail("service-program", `the service starts what is not there any more: ${printable(program, 400)}`, {
      reason: printable(unit.file, 400),
      next: "flywheel service install",
    }),
  ];
}

function check({ file, state }: Unit): Check {
  const shown = printable(file, 400);
  switch (state) {
    case "absent":
      return warn("service", `${shown} is missing, and the rest of the service is there`, { next: "flywheel service install" });
    case "outdated":
      return warn("service", `${shown} was installed by another flywheel than this one, or for other directories`, {
        next: "flywheel service install",
      });
    case "edited":
      return warn("service", `${shown} was edited since it was installed`, {
        reason: "`flywheel service install` leaves it as it is",
        next: "flywheel service status",
      });
    case "foreign":
      return ok("service", `${shown} is not of flywheel service install`, { reason: "a package manager's, or your own" });
    case "current":
      return ok("service", shown);
  }
}
