# The daemon as a service: the same units that `flywheel service install` writes (cli/service), as attributes, since
# each of the three hosts writes files of its own. test/nix/service.test.ts holds the two together.
# `directories`: GF_CONFIG_DIR and GF_STATE_DIR, and for launchd GF_RUNTIME_DIR.
{ package, directories }:
let
  lib = "${package}/lib/gloriousflywheel/lib";
  command = [
    "${lib}/node"
    "--disable-warning=ExperimentalWarning"
    "--max-semi-space-size=1"
    "--disable-sigusr1"
    "${lib}/flywheeld.js"
    "run"
    "--service"
  ];
  surroundings = {
    LANG = "C.UTF-8";
    # As where a flywheel starts it (daemon/api/client/program.ts).
    MALLOC_ARENA_MAX = "1";
    MALLOC_MMAP_THRESHOLD_ = "65536";
    MALLOC_TRIM_THRESHOLD_ = "65536";
    # For `tailscale` alone.
    PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/run/current-system/sw/bin:/opt/homebrew/bin";
  };
in
{
  name = "gloriousflywheel";

  socket = {
    description = "GloriousFlywheel companion: the daemon's socket";
    config = {
      ListenStream = "%t/gloriousflywheel/daemon.sock";
      SocketMode = "0600";
      DirectoryMode = "0700";
      RemoveOnStop = "yes";
    };
    wantedBy = [ "sockets.target" ];
  };

  service = {
    description = "GloriousFlywheel companion: the daemon";
    unit = {
      Requires = "gloriousflywheel.socket";
      After = "gloriousflywheel.socket";
      StartLimitIntervalSec = 60;
      StartLimitBurst = 30;
    };
    environment = { GF_RUNTIME_DIR = "%t/gloriousflywheel"; } // directories // surroundings;
    config = {
      Type = "exec";
      ExecStart = builtins.concatStringsSep " " command;
      UnsetEnvironment = "NODE_OPTIONS NODE_PATH NODE_EXTRA_CA_CERTS NODE_TLS_REJECT_UNAUTHORIZED SSL_CERT_FILE SSL_CERT_DIR http_proxy https_proxy grpc_proxy all_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY";
      UMask = "0077";
      WorkingDirectory = "/";
      Restart = "on-failure";
      RestartSec = 1;
      RestartPreventExitStatus = "1 203";
      TimeoutStopSec = 5;
      NoNewPrivileges = "yes";
      LockPersonality = "yes";
      RestrictAddressFamilies = "AF_UNIX AF_INET AF_INET6 AF_NETLINK";
      RestrictNamespaces = "yes";
      RestrictRealtime = "yes";
      RestrictSUIDSGID = "yes";
      SystemCallArchitectures = "native";
    };
  };

  # launchd has no socket for Node to take over: the agent runs from login on.
  agent = {
    Label = "gloriousflywheel.daemon";
    ProgramArguments = command;
    EnvironmentVariables = directories // surroundings;
    RunAtLoad = true;
    KeepAlive.SuccessfulExit = false;
    ProcessType = "Background";
    Umask = 63;
    WorkingDirectory = "/";
  };
}
