# The texts of the configuration files, by name; none where there is nothing to say, so that the user's own file, or
# what is built in, stays.
{ lib, cfg }:
let
  toml = import ./toml.nix { inherit lib; };
  said = attrs: lib.any (value: if builtins.isAttrs value then said value else value != null) (builtins.attrValues attrs);
  tailnet = lib.optionalAttrs (cfg.trustedTailnet != null) {
    tailnet = {
      inherit (cfg.trustedTailnet) name;
      magic_dns_suffix = cfg.trustedTailnet.magicDnsSuffix;
    };
  };
  coordinates = removeAttrs cfg.profile [ "extends" ] // tailnet;
  changed = said coordinates || cfg.profile.extends == null;
in
lib.optionalAttrs changed {
  "profiles/default.toml" = toml ({ inherit (cfg.profile) extends; } // coordinates);
}
// lib.optionalAttrs (said cfg.settings) { "config.toml" = toml cfg.settings; }
