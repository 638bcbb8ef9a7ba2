# NixOS.
{ companion }:
{
  config,
  lib,
  ...
}:
let
  cfg = config.services.gloriousflywheel;
  files = import ./files.nix { inherit lib cfg; };
  daemon = import ./service.nix {
    inherit (cfg) package;
    directories = {
      GF_CONFIG_DIR = "%h/.config/gloriousflywheel";
      GF_STATE_DIR = "%h/.local/state/gloriousflywheel";
    };
  };
in
{
  imports = [ (import ./system.nix { inherit companion; }) ];

  config = lib.mkIf cfg.enable (
    lib.mkMerge [
      {
        # A link is put there at login, where there is no file yet (tmpfiles.d(5), L).
        systemd.user.tmpfiles.rules = lib.mapAttrsToList (
          name: _: "L %h/.config/gloriousflywheel/${name} - - - - /etc/gloriousflywheel/${name}"
        ) files;
      }
      (lib.mkIf cfg.service.enable {
        systemd.user.sockets.${daemon.name} = {
          inherit (daemon.socket) description wantedBy;
          socketConfig = daemon.socket.config;
        };
        systemd.user.services.${daemon.name} = {
          inherit (daemon.service) description;
          # NixOS gives each service a PATH of its own.
          environment = daemon.service.environment // {
            PATH = lib.mkForce daemon.service.environment.PATH;
          };
          unitConfig = daemon.service.unit;
          serviceConfig = daemon.service.config;
        };
      })
    ]
  );
}
