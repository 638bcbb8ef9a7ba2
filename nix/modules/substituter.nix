# What the Nix daemon needs to be told before it honours the shared cache for everybody: that this address may be
# asked for (trusted-substituters), and whose signature counts (trusted-public-keys). Never trusted-users, whose
# members are root by another name. Nobody is made to use it: the guard does that, while it is attached.
{ lib, publicKey }:
let
  inherit (lib) mkOption types;
in
{
  options = profile: {
    enable = mkOption {
      type = types.bool;
      default = false;
      description = "Let every user's Nix take the shared cache, and believe its key.";
    };
    url = mkOption {
      type = types.strMatching "https?://[^[:space:]\"\\#]+[^[:space:]\"\\#/]" // {
        description = "the address of a substituter, without a last slash";
      };
      default = if profile.nix.substituter != null then profile.nix.substituter else "https://nix-cache.tinyland.dev/main";
      defaultText = lib.literalExpression "the profile's";
      description = "Exactly as it will be asked for: Nix compares the text.";
    };
    publicKey = mkOption {
      type = publicKey;
      default = if profile.nix.public_key != null then profile.nix.public_key else "main:eaUydxuDu7xBoy5cCo3MdknYAkVyTIASQ7DGuwxa+XA=";
      defaultText = lib.literalExpression "the profile's";
      description = "The key that signs what is in it.";
    };
  };

  config =
    cfg:
    lib.mkIf cfg.enable {
      nix.settings.trusted-substituters = [ cfg.url ];
      nix.settings.trusted-public-keys = [ cfg.publicKey ];
    };
}
