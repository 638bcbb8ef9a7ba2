/** Names the tests that passed only on a second try: each is a race that is still to be found, the test's or ours. */
import type { Reporter, TestModule } from "vitest/node";

export default class SecondTries implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const flaky = modules.flatMap((module) =>
      [...module.children.allTests("passed")]
        .filter((test) => test.diagnostic()?.flaky === true)
        .map(
          (test) =>
            `${module.relativeModuleId} > ${test.fullName}: ${test.result().errors?.[0]?.message.split("\n")[0] ?? "no error is known"}`,
        ),
    );
    if (flaky.length > 0) process.stdout.write(`\nPassed only on a second try:\n${flaky.map((name) => `  ${name}\n`).join("")}`);
  }
}
