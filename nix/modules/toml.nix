# TOML of nested tables of texts, whole numbers, booleans and lists of these; null leaves a setting out. nixpkgs'
# formats.toml needs a build, and what is read while evaluating should be seen while evaluating.
{ lib }:
let
  # JSON's texts, whole numbers, booleans and lists are TOML's.
  line = name: value: "${name} = ${builtins.toJSON value}\n";
  table =
    path: attrs:
    let
      said = lib.filterAttrs (_: value: value != null) attrs;
      plain = lib.filterAttrs (_: value: !builtins.isAttrs value) said;
      tables = lib.filterAttrs (_: value: builtins.isAttrs value) said;
      heading = lib.optionalString (path != [ ] && plain != { }) "\n[${lib.concatStringsSep "." path}]\n";
    in
    heading
    + lib.concatStrings (lib.mapAttrsToList line plain)
    + lib.concatStrings (lib.mapAttrsToList (name: table (path ++ [ name ])) tables);
in
table [ ]
