# Home Manager: everything of one user's. What the Nix daemon trusts is the system's to say (nixos.nix, nix-darwin.nix).
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
  files = import ./files.nix { inherit lib cfg; };
  shim = import ./shim.nix { inherit (cfg) package; };
  directories = {
    GF_CONFIG_DIR = "${config.xdg.configHome}/gloriousflywheel";
    GF_STATE_DIR = "${config.xdg.stateHome}/gloriousflywheel";
  };
  daemon = import ./service.nix {
    inherit (cfg) package;
    inherit directories;
  };
  inherit (pkgs.stdenv.hostPlatform) isLinux isDarwin;
in
{
  options.services.gloriousflywheel = shared.options // {
    direnv = shared.direnv config;
  };

  config = lib.mkIf cfg.enable (
    lib.mkMerge [
      {
        home.packages = [ cfg.package ];
        xdg.configFile = lib.mapAttrs' (name: text: lib.nameValuePair "gloriousflywheel/${name}" { inherit text; }) files;
      }
      (lib.mkIf cfg.direnv.enable {
        xdg.configFile."direnv/lib/gloriousflywheel.sh".text = "source ${cfg.package}/share/gloriousflywheel/direnv.sh\n";
      })
      (lib.mkIf cfg.shim.enable {
        programs.bash.initExtra = lib.mkAfter shim.posix;
        programs.zsh.initContent = lib.mkAfter shim.posix;
        programs.fish.interactiveShellInit = lib.mkAfter shim.fish;
      })
      (lib.mkIf (cfg.service.enable && isLinux) {
        systemd.user.sockets.${daemon.name} = {
          Unit.Description = daemon.socket.description;
          Socket = daemon.socket.config;
          Install.WantedBy = daemon.socket.wantedBy;
        };
        systemd.user.services.${daemon.name} = {
          Unit = daemon.service.unit // {
            Description = daemon.service.description;
          };
          Service = daemon.service.config // {
            Environment = lib.mapAttrsToList (name: value: "${name}=${value}") daemon.service.environment;
          };
        };
      })
      (lib.mkIf (cfg.service.enable && isDarwin) {
        launchd.agents.${daemon.name} = {
          enable = true;
          config = daemon.agent;
        };
      })
    ]
  );
}
