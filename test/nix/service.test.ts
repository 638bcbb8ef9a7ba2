/** The services of the three modules are those that `flywheel service install` writes. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { makeNixHouse, type NixHouse, nixMissing, nixProgram } from "../fixtures/nix-flake/nix.ts";
import { evaluateModule, type ModuleKind } from "./host.ts";

const installer = join(import.meta.dirname, "../../cli/service");

interface Installation {
  readonly command: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly socket: string;
  readonly xdgRuntime: string;
}
type Text = (installation: Installation) => string;
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

describe.skipIf(nixMissing || !existsSync(installer))("the daemon's service", () => {
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
    command: command.split(" "),
    environment: {
      GF_RUNTIME_DIR: "/run/user/7/gloriousflywheel",
      GF_CONFIG_DIR: `${config}/gloriousflywheel`,
      GF_STATE_DIR: `${state}/gloriousflywheel`,
      LANG: "C.UTF-8",
      PATH: "",
    },
    socket: "/run/user/7/gloriousflywheel/daemon.sock",
    xdgRuntime: "/run/user/7",
  });
  const withPath = async (wanted: Installation): Promise<Installation> => {
    const { systemPath } = (await import(join(installer, "../../daemon/api/client/autostart.ts"))) as { systemPath: string };
    return { ...wanted, environment: { ...wanted.environment, PATH: systemPath } };
  };
  const units = async (): Promise<{ socketUnit: Text; serviceUnit: Text }> => import(join(installer, "systemd.ts"));
  const flags = async (): Promise<readonly string[]> =>
    ((await import(join(installer, "../../daemon/api/client/autostart.ts"))) as { nodeFlags: readonly string[] }).nodeFlags;

  test("Home Manager", async () => {
    const { sockets, services } = await evaluate("homeManagerModules", "systemd.user");
    const service = services.gloriousflywheel;
    const wanted = await withPath(installation(service.Service.ExecStart, "/home/me/.config", "/home/me/.local/state"));
    expect(wanted.command.slice(1, -3)).toEqual(await flags());
    const { socketUnit, serviceUnit } = await units();
    expect(sections(sockets.gloriousflywheel)).toEqual(parseUnit(socketUnit(wanted)));
    expect(sections(service)).toEqual(parseUnit(serviceUnit(wanted)));
  });

  test("NixOS", async () => {
    const { sockets, services } = await evaluate("nixosModules", "systemd.user");
    const { description, unitConfig, serviceConfig, environment } = services.gloriousflywheel;
    const wanted = await withPath(installation(serviceConfig.ExecStart, "%h/.config", "%h/.local/state"));
    const { socketUnit, serviceUnit } = await units();
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
    const wanted = await withPath(installation(found.ProgramArguments.join(" "), "/home/me/.config", "/home/me/.local/state"));
    // launchd gives the agent HOME, from which it knows the directories that it is not told of.
    const kept = Object.entries(wanted.environment).filter(
      ([name]) => !name.startsWith("GF_") || directories.some((each) => each === name),
    );
    const { agent } = (await import(join(installer, "launchd.ts"))) as { agent: Text };
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
