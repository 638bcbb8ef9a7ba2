# The companion, built from this repository: bin/flywheel, the shim's directories in lib/gloriousflywheel/shim
# and shim-…, what shells source in share/gloriousflywheel, and the manual and the completions in share.
{
  lib,
  stdenvNoCC,
  nodejs_24,
  nodejs-slim_24,
  cacert,
}:
let
  inherit (lib.importJSON ../package.json) version;
  hashes = lib.importJSON ./hashes.json;
  inherit (stdenvNoCC.hostPlatform) system;
  target = hashes.systems.${system} or (throw "gloriousflywheel-companion: there is no package for ${system}");
  files =
    paths:
    lib.fileset.toSource {
      root = ../.;
      fileset = lib.fileset.unions paths;
    };

  # package-lock.json names no addresses to fetch from, so nixpkgs' importNpmLock and fetchNpmDeps have nothing to
  # fetch: npm itself does it, from whichever registry it is told of, and the hash says that it is the same.
  nodeModules = stdenvNoCC.mkDerivation {
    # The lock is in the name: with another one, a hash that nobody updated fits no output that is there already.
    name = "gloriousflywheel-companion-node-modules-${builtins.substring 0 12 hashes.lock}";
    src = files [
      ../package.json
      ../package-lock.json
      ../.npmrc
      ./node-modules.sh
    ];
    nativeBuildInputs = [ nodejs_24 ];
    impureEnvVars = lib.fetchers.proxyImpureEnvVars ++ [ "npm_config_registry" ];
    SSL_CERT_FILE = "${cacert}/etc/ssl/certs/ca-bundle.crt";
    NODE_EXTRA_CA_CERTS = "${cacert}/etc/ssl/certs/ca-bundle.crt";
    buildPhase = ''
      runHook preBuild
      export HOME=$TMPDIR
      sh nix/node-modules.sh ${target.os} ${target.cpu} ${target.libc}
      runHook postBuild
    '';
    installPhase = ''
      runHook preInstall
      mkdir $out
      mv node_modules $out/node_modules
      runHook postInstall
    '';
    # Byte for byte what npm installed.
    dontFixup = true;
    outputHashMode = "recursive";
    outputHash = target.hash;
  };
in
lib.throwIf (hashes.lock != builtins.hashFile "sha256" ../package-lock.json)
  "gloriousflywheel-companion: package-lock.json has changed since nix/hashes.json was written; run: node nix/update-hashes.ts"
  (
    stdenvNoCC.mkDerivation (finalPackage: {
      pname = "gloriousflywheel-companion";
      inherit version;
      src = files [
        ../package.json
        ../build.ts
        ../cli
        ../contract
        ../daemon
        ../shim
        ./shell-hook.sh
        ./direnv.sh
      ];
      nativeBuildInputs = [ nodejs_24 ];
      buildPhase = ''
        runHook preBuild
        cp -R ${nodeModules}/node_modules node_modules
        node build.ts
        runHook postBuild
      '';
      # flywheel finds its node beside itself (cli/launcher.sh).
      installPhase = ''
        runHook preInstall
        mkdir -p $out/bin $out/lib $out/share/gloriousflywheel
        cp -R dist $out/lib/gloriousflywheel
        ln -s ${lib.getExe nodejs-slim_24} $out/lib/gloriousflywheel/lib/node
        for each in flywheel flywheel-credential-helper flywheel-prompt; do
          ln -s ../lib/gloriousflywheel/bin/$each $out/bin/
        done
        cp nix/shell-hook.sh nix/direnv.sh $out/share/gloriousflywheel/
        mv $out/lib/gloriousflywheel/share/* $out/share/
        runHook postInstall
      '';
      # The shim is for the system's sh, which is there wherever Nix is: a smaller and faster one than Nix's bash.
      dontPatchShebangs = true;
      disallowedReferences = [ nodeModules ];
      doInstallCheck = true;
      installCheckPhase = ''
        runHook preInstallCheck
        [ "$($out/bin/flywheel version)" = "flywheel ${version}" ]
        [ "$(echo '{"uri":"https://cache.example"}' | HOME=/nonexistent $out/bin/flywheel-credential-helper get)" = '{"headers":{}}' ]
        [ "$(HOME=/nonexistent $out/bin/flywheel-prompt --symbol "")" = unattached ]
        [ -n "$(ls $out/share/man/man1/flywheel.1* $out/share/zsh/site-functions/_flywheel)" ]
        for each in shim/bazel shim-nix/nix shim-home-manager/home-manager; do
          sh -n $out/lib/gloriousflywheel/$each
        done
        runHook postInstallCheck
      '';
      passthru = {
        inherit nodeModules;
        # The directory that goes first on PATH; those of tools that may be there or not are called ${shim}-TOOL.
        shim = "${finalPackage.finalPackage}/lib/gloriousflywheel/shim";
      };
      meta = {
        description = "Finds the shared build caches this machine can route to, proves them, and guards bazel and nix";
        license = lib.licenses.zlib;
        mainProgram = "flywheel";
        platforms = builtins.attrNames hashes.systems;
      };
    })
  )
