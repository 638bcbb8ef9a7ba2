# nix-darwin. Not tried on macOS.
{ companion }:
{
  config,
  lib,
  ...
}:
let
  cfg = config.services.gloriousflywheel;
  files = import ./files.nix { inherit lib cfg; };
  # launchd sets HOME, from which the daemon knows its directories.
  daemon = import ./service.nix {
    inherit (cfg) package;
    directories = { };
  };
  link = name: ''
    if [ ! -e "$HOME/.config/gloriousflywheel/${name}" ]; then
      /bin/mkdir -p "$HOME/.config/gloriousflywheel/profiles"
      /bin/ln -sf /etc/gloriousflywheel/${name} "$HOME/.config/gloriousflywheel/${name}"
    fi
  '';
in
{
  imports = [ (import ./system.nix { inherit companion; }) ];

  config = lib.mkIf cfg.enable (
    lib.mkMerge [
      (lib.mkIf (files != { }) {
        # A link is put there at login, where there is no file yet.
        launchd.user.agents."${daemon.name}-profile".serviceConfig = {
          Label = "gloriousflywheel.profile";
          ProgramArguments = [
            "/bin/sh"
            "-c"
            (lib.concatMapStrings link (builtins.attrNames files))
          ];
          RunAtLoad = true;
        };
      })
      (lib.mkIf cfg.service.enable { launchd.user.agents.${daemon.name}.serviceConfig = daemon.agent; })
    ]
  );
}
