/** A host for the modules: the options of NixOS, nix-darwin and Home Manager that they set, each taking anything. */
import type { NixHouse, Ran } from "../fixtures/nix-flake/nix.ts";

export type ModuleKind = "nixosModules" | "darwinModules" | "homeManagerModules";

/**
 * The configuration that a module makes of these settings, as JSON.
 * @param options.settings the user's, as attributes in Nix's words
 * @param options.what the part of the configuration that is wanted, `systemd.user` say; unless told, all of the
 *   host's, and in `cfg` the module's own options
 */
export function evaluateModule(
  house: NixHouse,
  kind: ModuleKind,
  options: { readonly settings: string; readonly system?: string; readonly what?: string },
): Promise<Ran> {
  const system = options.system ?? (kind === "darwinModules" ? "aarch64-darwin" : "x86_64-linux");
  const all =
    'removeAttrs evaluated.config [ "services" ] // { cfg = removeAttrs evaluated.config.services.gloriousflywheel [ "package" ]; }';
  return house.evaluate(`
    let
      lib = nixpkgs.lib;
      anything = default: lib.mkOption { type = lib.types.anything; inherit default; };
      host.options = {
        nix.settings = anything { };
        environment = anything { };
        systemd.user = anything { };
        launchd = anything { };
        home = anything { };
        xdg = { configFile = anything { }; configHome = anything "/home/me/.config"; stateHome = anything "/home/me/.local/state"; };
        programs = {
          direnv = { enable = anything false; direnvrcExtra = anything ""; };
          bash.initExtra = anything "";
          zsh.initContent = anything "";
          fish.interactiveShellInit = anything "";
        };
      };
      evaluated = lib.evalModules {
        modules = [ flake.${kind}.default host { config = { ${options.settings} }; } ];
        specialArgs.pkgs = nixpkgs.legacyPackages.${system};
      };
    in ${options.what === undefined ? all : `evaluated.config.${options.what}`}`);
}
