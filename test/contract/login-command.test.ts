/** What to type to log in, as a shell reads it back. */
import { expect, test } from "vitest";
import { type Login, loginCommand, logoutCommand } from "../../contract/login-command.ts";

const endpoint = "grpcs://cache.example";
const cases: readonly (readonly [Partial<Login>, string])[] = [
  [{}, `flywheel login ${endpoint}`],
  [{ profile: "default", how: { scheme: "bearer" }, legacyHeader: false }, `flywheel login ${endpoint}`],
  [{ profile: "lab", kind: "nix" }, `flywheel login --profile lab --kind nix ${endpoint}`],
  [{ endpoint: "http://[fd00::1]:8080" }, "flywheel login 'http://[fd00::1]:8080'"],
  [{ how: { scheme: "basic", user: "ann" } }, `flywheel login ${endpoint} --basic --user ann`],
  [{ how: { scheme: "basic", user: "a$b" }, legacyHeader: true }, `flywheel login ${endpoint} --basic --user 'a$b' --allow-legacy-header`],
  [{ how: { scheme: "basic" } }, `flywheel login ${endpoint} --basic --user NAME`],
  [{ how: { scheme: "mtls", certificate: "/a b.pem", key: "/k" } }, `flywheel login ${endpoint} --certificate '/a b.pem' --key /k`],
  [{ how: { scheme: "mtls" } }, `flywheel login ${endpoint} --certificate FILE --key FILE`],
];

test.each(cases)("%j", (login, line) => {
  expect(loginCommand({ kind: "bazel", endpoint, ...login })).toBe(line);
});

test("and to log out: of the same place", () => {
  expect(logoutCommand({ profile: "lab", kind: "nix", endpoint: "http://[fd00::1]:8080" })).toBe(
    "flywheel logout --profile lab --kind nix 'http://[fd00::1]:8080'",
  );
});
