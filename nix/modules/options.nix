# services.gloriousflywheel: what all three modules share. The types are those of contract/profile.ts and
# contract/config.ts, so that a mistake is met where it is written.
{
  lib,
  pkgs,
  companion,
}:
let
  inherit (lib) mkOption types;
  optional =
    type: description:
    mkOption {
      type = types.nullOr type;
      default = null;
      inherit description;
    };
  matching = what: pattern: types.strMatching pattern // { description = what; };
  port = types.ints.between 1 65535;
  ports = types.listOf port;
  texts = types.listOf types.str;
  tag = matching "a Tailscale tag such as tag:bazel-cache" "tag:[a-zA-Z][a-zA-Z0-9-]*";
  service = matching "a Tailscale Service such as svc:bazel-cache" "svc:[a-z0-9]([a-z0-9-]*[a-z0-9])?";
  hostName = matching "a lower-case host name" "[a-z0-9]([a-z0-9.-]*[a-z0-9])?";
  publicKey = matching "a Nix public key: <name>:<base64 of 32 bytes>" "[A-Za-z0-9._-]+:[A-Za-z0-9+/]{43}=";
  absolute = matching "an absolute path" "/.*";
in
{
  inherit publicKey;

  direnv = config: {
    enable = mkOption {
      type = types.bool;
      default = config.programs.direnv.enable;
      defaultText = lib.literalExpression "config.programs.direnv.enable";
      description = "Teach direnv `use flywheel`.";
    };
  };

  options = {
    enable = lib.mkEnableOption "the GloriousFlywheel companion";

    package = mkOption {
      type = types.package;
      default = companion pkgs;
      defaultText = lib.literalExpression "gloriousflywheel.packages.\${system}.default";
      description = "The companion.";
    };

    service.enable = mkOption {
      type = types.bool;
      default = true;
      description = "Run the daemon as a service of the user's, as `flywheel service install` does.";
    };

    shim.enable = mkOption {
      type = types.bool;
      default = false;
      description = "Put the guard first on PATH in interactive shells, as `flywheel shim install` does.";
    };

    trustedTailnet = mkOption {
      default = null;
      type = types.nullOr (
        types.submodule {
          options.name = mkOption {
            type = types.str;
            description = "CurrentTailnet.Name of `tailscale status --json`.";
          };
          options.magicDnsSuffix = mkOption {
            type = hostName;
            description = "CurrentTailnet.MagicDNSSuffix of `tailscale status --json`.";
          };
        }
      );
      description = "The tailnet whose tagged nodes and services may be caches, as `flywheel trust tailnet` says it.";
    };

    profile = {
      extends = mkOption {
        type = types.nullOr (types.enum [ "gloriousflywheel" ]);
        default = "gloriousflywheel";
        description = "The built-in profile that fills up what is not said here; null for none.";
      };
      bazel = {
        service = optional service "The Tailscale Service of the Bazel cache.";
        tag = optional tag "The tag of its nodes.";
        grpc_ports = optional ports "Ports of its nodes, in order.";
        http_ports = optional ports "Ports of its nodes, in order, after those of gRPC.";
        upload = optional types.bool "Whether this machine may write to the cache.";
        instance_name = optional (matching "an instance name" "[A-Za-z0-9._/-]*") "The remote instance.";
      };
      nix = {
        service = optional service "The Tailscale Service of the Nix cache.";
        tag = optional tag "The tag of its nodes.";
        https_ports = optional ports "Ports of its nodes, in order.";
        http_ports = optional ports "Ports of its nodes, in order, after those of https.";
        cache = optional (matching "a cache name" "[a-z0-9][a-z0-9._-]*") "The name of the cache on its server.";
        public_key = optional publicKey "The key that signs what is in it.";
        substituter = optional types.str "Its public address.";
      };
      cluster = {
        enabled = optional types.bool "Whether in-cluster names are tried, by a tagged node's subnet route.";
        bazel = optional texts "In-cluster endpoints.";
        nix = optional texts "In-cluster endpoints.";
      };
      contract = {
        stale = optional texts "Regular expressions of places that no longer exist.";
        runner_labels = optional texts "Regular expressions of runner labels.";
      };
    };

    settings = {
      guard = {
        scope = optional (types.enum [
          "enrolled"
          "all"
        ]) "Where the guard acts.";
        workspaces = optional (types.listOf absolute) "Workspaces that are enrolled although no manifest says so.";
      };
      endpoints = {
        bazel = optional texts "Endpoints by the operator's word.";
        nix = optional texts "Endpoints by the operator's word.";
      };
      tailnet.socket = optional absolute "Another LocalAPI socket.";
      daemon = {
        log_level = optional (types.enum [
          "debug"
          "info"
          "warn"
          "error"
        ]) "What the daemon's log says.";
        idle_exit_minutes = optional (types.ints.between 0 10080) "Minutes without use after which the daemon ends; 0 is never.";
      };
    };
  };
}
