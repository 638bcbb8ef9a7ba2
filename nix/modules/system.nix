# What NixOS and nix-darwin have in common: the companion for every user of the machine, and what the Nix daemon trusts.
{ companion }:
{
  config,
  lib,
  pkgs,
  ...
}:
let
  cfg = config.services.gloriousflywheel;
  shared = import ./options.nix { inherit lib pkgs companion; };
  substituter = import ./substituter.nix {
    inherit lib;
    inherit (shared) publicKey;
  };
  files = import ./files.nix { inherit lib cfg; };
  shim = import ./shim.nix { inherit (cfg) package; };
in
{
  options.services.gloriousflywheel = shared.options // {
    substituter = substituter.options cfg.profile;
    direnv = shared.direnv config;
  };

  config = lib.mkIf cfg.enable (
    lib.mkMerge [
      {
        environment.systemPackages = [ cfg.package ];
        # The companion reads each user's own directory: nixos.nix and nix-darwin.nix link these from there.
        environment.etc = lib.mapAttrs' (name: text: lib.nameValuePair "gloriousflywheel/${name}" { inherit text; }) files;
      }
      (substituter.config cfg.substituter)
      (lib.mkIf cfg.direnv.enable {
        programs.direnv.direnvrcExtra = "source ${cfg.package}/share/gloriousflywheel/direnv.sh";
      })
      (lib.mkIf cfg.shim.enable { environment.interactiveShellInit = lib.mkAfter shim.posix; })
    ]
  );
}
