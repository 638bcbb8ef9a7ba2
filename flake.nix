{
  description = "The GloriousFlywheel companion: finds the shared build caches, proves them, and guards bazel and nix";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-26.05";

  outputs =
    { self, nixpkgs }:
    let
      inherit (nixpkgs) lib;
      systems = builtins.attrNames (lib.importJSON ./nix/hashes.json).systems;
      eachSystem = make: lib.genAttrs systems (system: make nixpkgs.legacyPackages.${system});
      companion = pkgs: pkgs.callPackage ./nix/package.nix { };
      module = file: {
        _file = file;
        imports = [ (import file { inherit companion; }) ];
      };
    in
    {
      packages = eachSystem (pkgs: rec {
        flywheel = companion pkgs;
        bazel = self.lib.wrapBazel { inherit pkgs; };
        default = flywheel;
      });

      apps = eachSystem (pkgs: rec {
        flywheel = {
          type = "app";
          program = lib.getExe (companion pkgs);
        };
        default = flywheel;
      });

      # Building the package is its check: it runs what it installed.
      checks = eachSystem (pkgs: {
        flywheel = companion pkgs;
      });

      devShells = eachSystem (pkgs: {
        default = self.lib.mkFlywheelShell {
          inherit pkgs;
          packages = [ pkgs.nodejs_24 ];
        };
      });

      overlays.default = final: _prev: { gloriousflywheel-companion = companion final; };

      lib = import ./nix/lib.nix { inherit companion; };

      homeManagerModules.default = module ./nix/modules/home-manager.nix;
      nixosModules.default = module ./nix/modules/nixos.nix;
      darwinModules.default = module ./nix/modules/nix-darwin.nix;
    };
}
