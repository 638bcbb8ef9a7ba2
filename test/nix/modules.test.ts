/**
 * The modules, evaluated by real Nix: with nothing set, with everything, and with mistakes. The module system is a
 * stand-in (test/fixtures/nix-flake/nixpkgs/modules.nix), since nixpkgs cannot be had without a network.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { pathBlock, type RcShell } from "../../cli/rc/block.ts";
import { parseConfig, parseProfile } from "../../contract/config.ts";
import { gloriousflywheel } from "../../contract/profile.ts";
import { makeNixHouse, type NixHouse, nixMissing, nixProgram } from "../fixtures/nix-flake/nix.ts";
import { evaluateModule, type ModuleKind } from "./host.ts";

describe.skipIf(nixMissing)("modules", () => {
  let house: NixHouse;
  beforeAll(async () => {
    house = await makeNixHouse(nixProgram());
  });
  afterAll(() => house[Symbol.asyncDispose]());

  const kinds: readonly ModuleKind[] = ["nixosModules", "darwinModules", "homeManagerModules"];

  const config = async (kind: ModuleKind, settings: string, system?: string) => {
    const { exitCode, stdout, stderr } = await evaluateModule(house, kind, { settings, ...(system === undefined ? {} : { system }) });
    expect(exitCode, stderr).toBe(0);
    return JSON.parse(stdout);
  };

  const nothing = { nix: { settings: {} }, environment: {}, home: {}, launchd: {}, systemd: { user: {} } };

  test.each(kinds)("%s: unset, it changes nothing", async (kind) => {
    expect(await config(kind, "")).toMatchObject({ ...nothing, xdg: { configFile: {} }, cfg: { enable: false } });
  });

  test("Home Manager, enabled alone: the package and the service; no file, since what is built in holds", async () => {
    const found = await config("homeManagerModules", "services.gloriousflywheel.enable = true;");
    expect(found.home.packages).toHaveLength(1);
    expect(found.xdg.configFile).toEqual({});
    expect(Object.keys(found.systemd.user.sockets)).toEqual(["gloriousflywheel"]);
    expect(found.launchd).toEqual({});
    expect(found.nix.settings).toEqual({});
    const { Unit, Service } = found.systemd.user.services.gloriousflywheel;
    expect(Unit.Requires).toBe("gloriousflywheel.socket");
    expect(Service.Environment).toContain("GF_CONFIG_DIR=/home/me/.config/gloriousflywheel");
    expect(Service.ExecStart).toMatch(/^\/\S+\/lib\/node (?:--\S+ )+\/\S+\/lib\/flywheeld\.js run --service$/);
  });

  test("Home Manager on a Mac: the agent instead", async () => {
    const found = await config("homeManagerModules", "services.gloriousflywheel.enable = true;", "aarch64-darwin");
    expect(found.systemd.user).toEqual({});
    const { config: agent } = found.launchd.agents.gloriousflywheel;
    expect(agent).toMatchObject({ Label: "gloriousflywheel.daemon", RunAtLoad: true, KeepAlive: { SuccessfulExit: false } });
    expect(agent.EnvironmentVariables.GF_STATE_DIR).toBe("/home/me/.local/state/gloriousflywheel");
  });

  const everything = `
    services.gloriousflywheel = {
      enable = true;
      shim.enable = true;
      direnv.enable = true;
      trustedTailnet = { name = "exa\\"mple.org"; magicDnsSuffix = "tail1234.ts.net"; };
      profile = {
        bazel = { tag = "tag:build"; grpc_ports = [ 9092 9093 ]; upload = false; instance_name = "main"; };
        nix = { cache = "main"; public_key = "main:${"A".repeat(43)}="; substituter = "https://nix.example.org/main"; };
        cluster = { enabled = true; bazel = [ "grpc://cache.svc:9092" ]; };
        contract.stale = [ "old-cache\\\\." "a\\"b" ];
      };
      settings = {
        guard = { scope = "all"; workspaces = [ "/home/me/src" ]; };
        endpoints.bazel = [ "grpcs://cache.example.org:443" ];
        daemon = { log_level = "debug"; idle_exit_minutes = 30; };
      };
    };`;

  test("Home Manager, with everything: files that the companion reads as they were meant", async () => {
    const found = await config("homeManagerModules", everything);
    const text = found.xdg.configFile["gloriousflywheel/profiles/default.toml"].text;
    expect(parseProfile("default", text, "default.toml")).toEqual({
      ...gloriousflywheel,
      name: "default",
      tailnet: { name: 'exa"mple.org', magicDnsSuffix: "tail1234.ts.net" },
      bazel: { ...gloriousflywheel.bazel, tag: "tag:build", grpcPorts: [9092, 9093], instanceName: "main" },
      nix: { ...gloriousflywheel.nix, publicKey: `main:${"A".repeat(43)}=`, substituter: "https://nix.example.org/main" },
      cluster: { ...gloriousflywheel.cluster, enabled: true, bazel: ["grpc://cache.svc:9092"] },
      contract: { ...gloriousflywheel.contract, stale: ["old-cache\\.", 'a"b'] },
    });
    expect(parseConfig(found.xdg.configFile["gloriousflywheel/config.toml"].text, "config.toml")).toMatchObject({
      guard: { scope: "all", workspaces: ["/home/me/src"] },
      endpoints: { bazel: ["grpcs://cache.example.org:443"], nix: [] },
      daemon: { logLevel: "debug", idleExitMinutes: 30 },
    });
    expect(found.xdg.configFile["direnv/lib/gloriousflywheel.sh"].text).toMatch(/^source \/\S+\/share\/gloriousflywheel\/direnv\.sh\n$/);
    const shim = /=(\/\S+\/shim) /.exec(found.programs.bash.initExtra)?.[1] ?? "";
    const block = (shell: RcShell): string => `${pathBlock(shell, shim).split("\n").slice(2, -2).join("\n").replaceAll("'", "")}\n`;
    expect(found.programs.bash.initExtra).toBe(block("bash"));
    expect(found.programs.zsh.initContent).toBe(found.programs.bash.initExtra);
    expect(found.programs.fish.interactiveShellInit).toBe(block("fish"));
  });

  test("without `extends` the profile is nobody's but its own", async () => {
    const found = await config("homeManagerModules", "services.gloriousflywheel = { enable = true; profile.extends = null; };");
    const text = found.xdg.configFile["gloriousflywheel/profiles/default.toml"].text;
    expect(parseProfile("default", text, "default.toml").nix.publicKey).toBeUndefined();
  });

  test("NixOS: trusts the cache's address and key by exactly these two settings, and links the files for each user", async () => {
    const found = await config("nixosModules", `${everything} services.gloriousflywheel.substituter.enable = true;`);
    expect(found.nix.settings).toEqual({
      "trusted-substituters": ["https://nix.example.org/main"],
      "trusted-public-keys": [`main:${"A".repeat(43)}=`],
    });
    expect(Object.keys(found.environment.etc).sort()).toEqual(["gloriousflywheel/config.toml", "gloriousflywheel/profiles/default.toml"]);
    expect(found.systemd.user.tmpfiles.rules).toContain(
      "L %h/.config/gloriousflywheel/config.toml - - - - /etc/gloriousflywheel/config.toml",
    );
    expect(found.programs.direnv.direnvrcExtra).toMatch(/^source /);
    expect(found.environment.interactiveShellInit).toContain("/shim");
    expect(found.systemd.user.services.gloriousflywheel.serviceConfig).toMatchObject({ Restart: "on-failure", NoNewPrivileges: "yes" });
  });

  test.each(["nixosModules", "darwinModules"] as const)(
    "%s: the substituter is the built-in profile's where nothing else is said",
    async (kind) => {
      const found = await config(kind, "services.gloriousflywheel = { enable = true; substituter.enable = true; };");
      expect(found.nix.settings).toEqual({
        "trusted-substituters": [gloriousflywheel.nix.substituter],
        "trusted-public-keys": [gloriousflywheel.nix.publicKey],
      });
      const without = await config(kind, "services.gloriousflywheel.enable = true;");
      expect(without.nix.settings).toEqual({});
    },
  );

  test("nix-darwin: the agents, by launchd's words", async () => {
    const found = await config("darwinModules", everything);
    expect(Object.keys(found.launchd.user.agents)).toEqual(["gloriousflywheel", "gloriousflywheel-profile"]);
    const [, , script] = found.launchd.user.agents["gloriousflywheel-profile"].serviceConfig.ProgramArguments;
    expect(script).toContain('ln -sf /etc/gloriousflywheel/profiles/default.toml "$HOME/.config/gloriousflywheel/profiles/default.toml"');
  });

  test.each([
    ["enable = 1;", "`services.gloriousflywheel.enable' is not of type `boolean'"],
    ["profile.bazel.grpc_ports = [ 70000 ];", "`services.gloriousflywheel.profile.bazel.grpc_ports' is not of type"],
    ['profile.bazel.tag = "build";', "a Tailscale tag such as tag:bazel-cache"],
    ['profile.nix.public_key = "main";', "a Nix public key: <name>:<base64 of 32 bytes>"],
    ["profile.bazel.grpc_port = 1;", "`services.gloriousflywheel.profile.bazel.grpc_port' does not exist"],
    ['profile.extends = "other";', '"gloriousflywheel"'],
    ['settings.guard.scope = "some";', "`services.gloriousflywheel.settings.guard.scope' is not of type"],
    ['settings.guard.workspaces = [ "src" ];', "an absolute path"],
    ['trustedTailnet = "example.org";', "`services.gloriousflywheel.trustedTailnet' is not of type"],
    ['trustedTailnet.name = "example.org";', "magicDnsSuffix' is used but not defined"],
    ['substituter.url = "https://nix.example.org/main/";', "the address of a substituter, without a last slash"],
    ["trusted-users = [ ];", "does not exist"],
  ])("a mistake is named where it is made: %s", async (mistake, complaint) => {
    const settings = `services.gloriousflywheel = { ${mistake.startsWith("enable") ? "" : "enable = true; substituter.enable = true; settings.endpoints.bazel = [ ];"} ${mistake} };`;
    const { exitCode, stderr } = await evaluateModule(house, "nixosModules", { settings });
    expect(exitCode).toBe(1);
    expect(stderr).toContain(complaint);
  });
});
