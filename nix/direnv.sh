# `use flywheel` for direnv: sourced from ~/.config/direnv/lib (the Home Manager module does that) or from an .envrc,
# by direnv's own bash. To be called after `use flake`: nix-direnv caches a shell without its shellHook, and what was
# attached when it was cached is not what is attached now. This asks each time, and direnv loads again when it changes.
_flywheel_hook=$(CDPATH='' cd -- "${BASH_SOURCE[0]%/*}" && pwd -P)/shell-hook.sh

use_flywheel() {
  # `use flake` without nix-direnv has run the shellHook already.
  if [ -n "${_flywheel_seen+set}" ]; then return 0; fi
  # shellcheck source=nix/shell-hook.sh
  . "$_flywheel_hook"
}
