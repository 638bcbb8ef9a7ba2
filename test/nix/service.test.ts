/** The services of the three modules are those that `flywheel service install` writes. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Installation } from "../../cli/service/install.ts";
import { agent } from "../../cli/service/launchd.ts";
import { serviceUnit, socketUnit } from "../../cli/service/systemd.ts";
import { allocation, nodeFlags, systemPath } from "../../daemon/api/client/program.ts";
import { makeNixHouse, type NixHouse, nixMissing, nixProgram } from "../fixtures/nix-flake/nix.ts";
import { evaluateModule, type ModuleKind } from "./host.ts";

type Unit = Readonly<Record<string, Readonly<Record<string, readonly string[]>>>>;

/** A unit's text as sections of keys, each with its values; `%%` is systemd's `%`. */
function parseUnit(text: string): Unit {
  const unit: Record<string, Record<string, string[]>> = {};
  let section: Record<string, string[]> = {};
  for (const line of text.split("\n").filter((each) => each !== "" && !each.startsWith("#"))) {
    const heading = /^\[(\w+)\]$/.exec(line)?.[1];
    if (heading !== undefined) {
      section = {};
      unit[heading] = section;
      continue;
    }
    const at = line.indexOf("=");
    const key = line.slice(0, at);
    section[key] = [...(section[key] ?? []), line.slice(at + 1).replaceAll("%%", "%")].sort();
  }
  return unit;
}

/** The values as systemd's text has them. */
function sections(found: Readonly<Record<string, Readonly<Record<string, unknown>>>>): Unit {
  const texts = (value: unknown): string[] => (Array.isArray(value) ? value : [value]).map(String).sort();
  return Object.fromEntries(
    Object.entries(found).map(([name, keys]) => [
      name,
      Object.fromEntries(Object.entries(keys).map(([key, value]) => [key, texts(value)])),
    ]),
  );
}

describe.skipIf(nixMissing)("the daemon's service", () => {
  let house: NixHouse;
  beforeAll(async () => {
    house = await makeNixHouse(nixProgram());
  });
  afterAll(() => house[Symbol.asyncDispose]());

  const evaluate = async (kind: ModuleKind, what: string) => {
    const { exitCode, stdout, stderr } = await evaluateModule(house, kind, {
      settings: "services.gloriousflywheel.enable = true;",
      what,
      ...(what.startsWith("launchd") ? { system: "aarch64-darwin" } : {}),
    });
    expect(exitCode, stderr).toBe(0);
    return JSON.parse(stdout);
  };

  /** What is installed, told to the installer's own code in its own words. */
  const installation = (command: string, config: string, state: string): Installation => ({
    command: command.split(" ") as [string, ...string[]],
    environment: {
      GF_RUNTIME_DIR: "/run/user/7/gloriousflywheel",
      GF_CONFIG_DIR: `${config}/gloriousflywheel`,
      GF_STATE_DIR: `${state}/gloriousflywheel`,
      LANG: "C.UTF-8",
      PATH: systemPath,
      ...allocation,
    },
    socket: "/run/user/7/gloriousflywheel/daemon.sock",
    xdgRuntime: "/run/user/7",
  });
  test("Home Manager", async () => {
    const { sockets, services } = await evaluate("homeManagerModules", "systemd.user");
    const service = services.gloriousflywheel;
    const wanted = installation(service.Service.ExecStart, "/home/me/.config", "/home/me/.local/state");
    expect(wanted.command.slice(1, -3)).toEqual([...nodeFlags]);
    expect(sections(sockets.gloriousflywheel)).toEqual(parseUnit(socketUnit(wanted)));
    expect(sections(service)).toEqual(parseUnit(serviceUnit(wanted)));
  });

  test("NixOS", async () => {
    const { sockets, services } = await evaluate("nixosModules", "systemd.user");
    const { description, unitConfig, serviceConfig, environment } = services.gloriousflywheel;
    const wanted = installation(serviceConfig.ExecStart, "%h/.config", "%h/.local/state");
    const { socketConfig, wantedBy } = sockets.gloriousflywheel;
    expect(
      sections({ Unit: { Description: sockets.gloriousflywheel.description }, Socket: socketConfig, Install: { WantedBy: wantedBy } }),
    ).toEqual(parseUnit(socketUnit(wanted)));
    const variables = Object.entries(environment).map(([name, value]) => `${name}=${value}`);
    expect(sections({ Unit: { Description: description, ...unitConfig }, Service: { ...serviceConfig, Environment: variables } })).toEqual(
      parseUnit(serviceUnit(wanted)),
    );
  });

  test.each([
    ["nix-darwin", "darwinModules", "launchd.user.agents.gloriousflywheel.serviceConfig", []],
    ["Home Manager on a Mac", "homeManagerModules", "launchd.agents.gloriousflywheel.config", ["GF_CONFIG_DIR", "GF_STATE_DIR"]],
  ] as const)("%s", async (_name, module, what, directories) => {
    const found = await evaluate(module, what);
    const wanted = installation(found.ProgramArguments.join(" "), "/home/me/.config", "/home/me/.local/state");
    // launchd gives the agent HOME, from which it knows the directories that it is not told of.
    const kept = Object.entries(wanted.environment).filter(
      ([name]) => !name.startsWith("GF_") || directories.some((each) => each === name),
    );
    expect(found).toEqual(parsePlist(agent({ ...wanted, environment: Object.fromEntries(kept) })));
  });
});

/** As much of a property list as an agent's text has. */
function parsePlist(text: string): unknown {
  const tokens = [...text.slice(text.indexOf("<dict>")).matchAll(/<(\/?)(\w+)(\/?)>([^<]*)/g)];
  let at = 0;
  const next = () => tokens[at++] ?? [];
  const value = (): unknown => {
    const [, , tag, , content = ""] = next();
    switch (tag) {
      case "dict": {
        const entries: [string, unknown][] = [];
        while (tokens[at]?.[2] === "key") {
          const [, , , , key = ""] = next();
          next();
          entries.push([key, value()]);
        }
        next();
        return Object.fromEntries(entries);
      }
      case "array": {
        const items: unknown[] = [];
        while (tokens[at]?.[1] !== "/") items.push(value());
        next();
        return items;
      }
      case "true":
      case "false":
        return tag === "true";
      default:
        next();
        return tag === "integer" ? Number(content) : content;
    }
  };
  return value();
}
