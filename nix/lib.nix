# What other flakes call. `companion`: pkgs -> the package.
{ companion }:
rec {
  # Plain text for any shellHook, with the package among the shell's packages.
  shellHook = builtins.readFile ./shell-hook.sh;

  # pkgs.mkShell with the companion: the shim first on PATH, the daemon started, what is attached exported.
  # `profile` is the name of one of the user's profiles; the rest is mkShell's own.
  mkFlywheelShell =
    {
      pkgs,
      packages ? [ ],
      profile ? null,
      shellHook ? "",
      flywheel ? companion pkgs,
      ...
    }@args:
    let
      named = profile == null || builtins.match "[a-z0-9][a-z0-9-]{0,31}" profile != null;
    in
    if !named then
      throw "mkFlywheelShell: ${builtins.toJSON profile} is no profile name: lower-case letters, digits and dashes, at most 32"
    else
      pkgs.mkShell (
        removeAttrs args [
          "pkgs"
          "profile"
          "flywheel"
        ]
        // {
          packages = [ flywheel ] ++ packages;
          # Ours before, so that `exec zsh` in the caller's takes it along; and first on PATH again after it.
          shellHook = ''
            ${builtins.readFile ./shell-hook.sh}
            ${shellHook}
            _flywheel_first || :
          '';
        }
        // (if profile == null then { } else { GF_PROFILE = profile; })
      );

  # A package that is `bazel`, guarded wherever it stands on PATH, for `bazel` (the program's path): instead of a
  # script that execs bazelisk. Behind the shim it is the tool, and guards nothing a second time.
  wrapBazel =
    {
      pkgs,
      bazel ? pkgs.lib.getExe pkgs.bazelisk,
      flywheel ? companion pkgs,
    }:
    pkgs.writeTextFile {
      name = "bazel-guarded";
      executable = true;
      destination = "/bin/bazel";
      text = ''
        #!/bin/sh
        case ''${GF_SHIM_DEPTH-} in
        "")
          GF_REAL_BAZEL=''${GF_REAL_BAZEL:-${bazel}}
          export GF_REAL_BAZEL
          exec ${flywheel}/lib/gloriousflywheel/shim/bazel "$@"
          ;;
        *) exec ${bazel} "$@" ;;
        esac
      '';
      meta.mainProgram = "bazel";
    };
}
