# Shell code that puts the guard first on PATH, once, for the start files of interactive shells: as cli/rc/block.ts.
{ package }:
{
  posix = ''
    _gf_shims=${package.shim} _gf_path= _gf_rest=$PATH:
    while [ -n "$_gf_rest" ]; do
      if [ ! -e "''${_gf_rest%%:*}/.flywheel-shim" ]; then _gf_path=$_gf_path:''${_gf_rest%%:*}; fi
      _gf_rest=''${_gf_rest#*:}
    done
    PATH=''${_gf_path#:}
    for _gf_tool in nix nixos-rebuild darwin-rebuild home-manager; do
      if command -v "$_gf_tool" >/dev/null; then _gf_shims=$_gf_shims:${package.shim}-$_gf_tool; fi
    done
    export PATH="$_gf_shims:$PATH"
    unset _gf_shims _gf_path _gf_rest _gf_tool
  '';
  fish = ''
    set -l _gf_shims ${package.shim}
    set -l _gf_path
    for _gf_dir in $PATH
        test -e $_gf_dir/.flywheel-shim; or set -a _gf_path $_gf_dir
    end
    set -gx PATH $_gf_path
    for _gf_tool in nix nixos-rebuild darwin-rebuild home-manager
        command -q $_gf_tool; and set -a _gf_shims ${package.shim}-$_gf_tool
    end
    set -gx PATH $_gf_shims $PATH
  '';
}
