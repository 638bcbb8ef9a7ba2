/**
 * Real Nix command lines, and what the guard makes of each. One row: the expectation, then the tool and its words,
 * split at single spaces; ␠ stands for a space inside a word and ∅ for an empty word.
 *   light         the tool runs untouched
 *   medium        untouched, unless the configuration makes it heavy
 *   heavy, entry  attached by NIX_CONFIG; `-flags`: attached by flags, since it starts a program or a shell
 * A `?` before it: sh leaves it to the slow path. Behind it `!`: it executes nothing, so that unattached it passes;
 * `~`: an option takes it away from the cache.
 */
import { describe, expect, it } from "vitest";
import { quickNixJudgement, readNixCommandLine } from "../../../contract/nix/command-line.ts";
import { isNixName } from "../../../contract/nix/commands.ts";
import { type AttachedNixCache, nixDetachment } from "../../../contract/nix/injection.ts";
import { endpointOf } from "../../fixtures/endpoint.ts";
import { nixRows } from "../../fixtures/nix/rows.ts";

const cache: AttachedNixCache = {
  endpoint: endpointOf({ kind: "nix", scheme: "https", host: "nix-cache.example.com", port: 443, path: "/main" }),
  publicKey: "main:eaUydxuDu7xBoy5cCo3MdknYAkVyTIASQ7DGuwxa+XA=",
  trustedUser: true,
};

describe("the table", () => {
  it("has at least 150 rows, each once", () => {
    const lines = nixRows.map(({ tool, args }) => JSON.stringify([tool, ...args]));
    expect(lines.length).toBeGreaterThanOrEqual(150);
    expect(new Set(lines).size).toBe(lines.length);
  });

  it.each(nixRows)("$line", ({ tool, args, expectation }) => {
    if (!isNixName(tool)) throw new Error(`${tool} has no shim`);
    const match = /^(\?)?(light|medium|heavy|entry)(-flags)?(!)?(~)?$/.exec(expectation);
    if (match === null) throw new Error(`no expectation: ${expectation}`);
    const [, slow, commandClass, flags, spares, detaches] = match;
    const whole = readNixCommandLine(tool, args);
    const channel = flags === undefined ? "environment" : "flags";
    if (whole.kind === "pass") expect("light").toBe(commandClass);
    else {
      const { class: found, channel: by, executes } = whole;
      expect({ found, by, executes }).toEqual({ found: commandClass, by: channel, executes: spares === undefined });
      expect(nixDetachment(whole.options, cache) !== undefined).toBe(detaches !== undefined);
    }
    const quick = quickNixJudgement(tool, args);
    if (slow !== undefined) expect(quick).toEqual({ kind: "unclear" });
    else if (commandClass === "light") expect(quick).toEqual({ kind: "pass" });
    else if (commandClass === "medium") expect(quick).toEqual({ kind: "medium" });
    else expect(quick).toEqual({ kind: "attach", channel });
  });
});

describe("scripts", () => {
  const read = (tool: "nix" | "nix-shell", args: readonly string[], lines: readonly string[]) =>
    readNixCommandLine(tool, args, ["#!/usr/bin/env x", ...lines, "echo $1"].join("\n"));

  it("are attached through the environment, by the command that their lines name", () => {
    expect(read("nix", ["./script", "eval"], ["#! nix shell nixpkgs#hello", "#! nix --command bash"])).toMatchObject({
      kind: "guarded",
      class: "heavy",
      channel: "environment",
      command: "shell",
    });
    expect(read("nix", ["./script"], ["#!nix develop --command bash"])).toMatchObject({ class: "entry", channel: "environment" });
    expect(read("nix", ["./script"], ["#! nix eval --file"])).toMatchObject({ class: "medium" });
    expect(read("nix-shell", ["./script", "--version"], ["#! nix-shell -i bash -p hello"])).toMatchObject({
      class: "entry",
      channel: "environment",
    });
  });

  it("bring their own detaching options", () => {
    const line = read("nix-shell", ["./script"], ['#! nix-shell -i bash --option substituters ""']);
    expect(line.kind === "guarded" && nixDetachment(line.options, cache)).toMatch(/^substituters names other caches/);
  });

  it("are none where the first word is an option or a command", () => {
    expect(read("nix", ["build", "x"], ["#! nix eval"])).toMatchObject({ command: "build", channel: "environment" });
    expect(read("nix-shell", ["-p", "hello"], ["#! nix-shell -i bash"])).toMatchObject({ channel: "flags" });
  });
});

describe("substituters that the user names", () => {
  const judge = (...args: string[]): string | undefined => {
    const line = readNixCommandLine("nix", ["build", ...args]);
    return line.kind === "guarded" ? nixDetachment(line.options, cache) : "not guarded";
  };

  it("are fine where the attached one is among them, however it is spelt", () => {
    expect(judge("--substituters", "https://cache.nixos.org https://nix-cache.example.com/main")).toBeUndefined();
    expect(judge("--substituters", "https://nix-cache.example.com:443/main/?priority=10")).toBeUndefined();
    expect(judge("--option", "trusted-public-keys", `a:b ${cache.publicKey}`)).toBeUndefined();
  });

  it("take the command away where it is not, and the last one counts", () => {
    expect(judge("--substituters", "https://nix-cache.example.com/other")).toMatch(/names other caches/);
    expect(judge("--substituters", "https://nix-cache.example.com/main", "--substituters", "")).toMatch(/names other caches/);
    expect(judge("--substituters", "", "--substituters", "https://nix-cache.example.com/main")).toBeUndefined();
    expect(judge("--trusted-public-keys", "other:eaUydxuDu7xBoy5cCo3MdknYAkVyTIASQ7DGuwxa+XA=")).toMatch(/leaves out the key/);
    expect(judge("--no-substitute")).toMatch(/is off/);
    expect(judge("--offline")).toMatch(/--offline turns every substituter off/);
  });
});
