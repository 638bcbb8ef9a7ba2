/** The edit of a repository's `.env.flywheel.local`: planned, so that it can be shown first. */
import { lstatSync } from "node:fs";
import { join } from "node:path";
import { envFileName, parseEnvFile } from "../../contract/env-file.ts";
import { type EnvFileValues, withEnrolment, withoutEnrolment } from "../../contract/env-file-text.ts";
import { FlywheelError } from "../../contract/errors.ts";
import { type Edit, planEdit } from "../rc/file.ts";

/** @throws FlywheelError `env-file-invalid` where the file is a link, or what came out could not be read as it was meant */
export function planEnrolled(root: string, values: EnvFileValues, notes: readonly string[]): Edit {
  const edit = planEdit(placeOf(root), (content) => withEnrolment(content, values, notes));
  const read = parseEnvFile(edit.after ?? "");
  if (!read.ok) {
    const [fault] = read.faults;
    throw new FlywheelError(
      "env-file-invalid",
      `${edit.file}: what stands there already cannot be kept: ${fault?.message ?? "it is not understood"}`,
      {
        next: `mend or remove ${edit.file}`,
      },
    );
  }
  const differs = Object.entries(values).find(([name, value]) => read.values[name as keyof EnvFileValues] !== value);
  if (differs !== undefined) {
    throw new FlywheelError(
      "env-file-invalid",
      `${edit.file}: with what stands there already, ${differs[0]} would not be what was asked for`,
      {
        next: `mend or remove ${edit.file}`,
      },
    );
  }
  return edit;
}

/** @throws FlywheelError `env-file-invalid` where enrolment wrote nothing there */
export function planUndone(root: string): Edit {
  const edit = planEdit(placeOf(root), (content) => (content === undefined ? undefined : withoutEnrolment(content)));
  if (edit.before !== edit.after) return edit;
  throw new FlywheelError(
    "env-file-invalid",
    `${edit.file} ${edit.before === undefined ? "is not there" : "holds nothing of flywheel enroll"}`,
    { next: "nothing is to be undone here; flywheel enroll says what this repository is" },
  );
}

/** A link could lead the lines, and what they replace, anywhere. */
function placeOf(root: string): string {
  const file = join(root, envFileName);
  if (lstatSync(file, { throwIfNoEntry: false })?.isSymbolicLink() !== true) return file;
  throw new FlywheelError("env-file-invalid", `${file} is a symbolic link`, { next: `remove ${file}` });
}
