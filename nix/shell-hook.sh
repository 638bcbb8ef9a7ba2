# The GloriousFlywheel companion in a shell that is entered: sourced by the devshell (lib.shellHook), by direnv
# (nix/direnv.sh), and by whoever has no Nix (`. nix/shell-hook.sh`, with flywheel on PATH). For bash, zsh and any
# POSIX sh, under `set -eu` too. Writes one line, to standard error; sourcing it again is harmless.

# The shim first on PATH, once, with the directory of each tool that is there: other shims' directories leave it, as
# in a shell within the shell.
_flywheel_first() {
  _gf_program=$(command -v flywheel) || return 1
  case $_gf_program in /*) ;; *) return 1 ;; esac
  while [ -h "$_gf_program" ]; do
    _gf_link=$(readlink "$_gf_program") || return 1
    case $_gf_link in
    /*) _gf_program=$_gf_link ;;
    *) _gf_program=${_gf_program%/*}/$_gf_link ;;
    esac
  done
  _gf_shim=$(CDPATH='' cd -- "${_gf_program%/*}/../shim" 2>/dev/null && pwd -P) || return 1
  [ -e "$_gf_shim/.flywheel-shim" ] || return 1
  _gf_new= _gf_rest=$PATH:
  while [ -n "$_gf_rest" ]; do
    _gf_dir=${_gf_rest%%:*}
    _gf_rest=${_gf_rest#*:}
    if [ -e "${_gf_dir:-.}/.flywheel-shim" ]; then continue; fi
    _gf_new=$_gf_new:$_gf_dir
  done
  PATH=${_gf_new#:} _gf_new=$_gf_shim
  for _gf_tool in nix nixos-rebuild darwin-rebuild home-manager; do
    if command -v "$_gf_tool" >/dev/null; then _gf_new=$_gf_new:$_gf_shim-$_gf_tool; fi
  done
  PATH=$_gf_new:$PATH
  export PATH
}

# Where the daemon publishes for this profile (contract/paths.ts). flywheel says which one is the repository's.
_flywheel_published() {
  _gf_published=${HOME-}/.local/state/gloriousflywheel/run
  case ${XDG_RUNTIME_DIR-} in /*) _gf_published=$XDG_RUNTIME_DIR/gloriousflywheel ;; esac
  case ${GF_RUNTIME_DIR-} in /*) _gf_published=$GF_RUNTIME_DIR ;; esac
  _gf_published=$_gf_published/attachment/${GF_PROFILE:-${_flywheel_profile:-default}}
}

# What is published, as far as the environment depends on it. Compared, never evaluated.
_flywheel_look() {
  _flywheel_published
  _gf_now=
  for _gf_file in "$_gf_published/bazel" "$_gf_published/nix"; do
    if [ ! -f "$_gf_file" ] || [ ! -r "$_gf_file" ]; then continue; fi
    while IFS= read -r _gf_line; do
      case $_gf_line in 'state '* | 'endpoint '*) _gf_now="$_gf_now $_gf_line" ;; esac
    done <"$_gf_file" || :
  done
}

# flywheel says the rest: in shell code what the environment is to be, and in words where it stands.
_flywheel_take() {
  _flywheel_look
  _flywheel_seen=$_gf_now
  _gf_code=$(flywheel env --shell bash --devshell "$1" </dev/null) || _gf_code=
  _gf_was=${_flywheel_profile-}
  eval "$_gf_code"
  if [ "${_flywheel_profile-}" != "$_gf_was" ]; then
    _flywheel_look
    _flywheel_seen=$_gf_now
  fi
}

# Before each prompt: the attachment may have come, gone or moved. Starts nothing unless it did.
_flywheel_follow() {
  _gf_status=$?
  _flywheel_look
  if [ "$_gf_now" != "$_flywheel_seen" ]; then _flywheel_take follow; fi
  return "$_gf_status"
}

export GF_GUARD_SCOPE=all
if _flywheel_first; then
  if [ -n "${DIRENV_IN_ENVRC-}" ] && command -v watch_file >/dev/null 2>&1; then
    # direnv loads again when one of these changes: their time is that of the attachment, not of its lease.
    _flywheel_published
    watch_file "$_gf_published/bazel" "$_gf_published/nix"
  fi
  if [ -n "${_flywheel_entered+set}" ]; then
    # `flywheel shell` (cli/shell/start) has entered before this shell began, and read this then.
    _flywheel_seen=$_flywheel_entered
    unset _flywheel_entered
  else
    _flywheel_take enter
  fi
  if [ -n "${DIRENV_IN_ENVRC-}" ] && [ "${_flywheel_profile:-default}" != default ] && command -v watch_file >/dev/null 2>&1; then
    _flywheel_published
    watch_file "$_gf_published/bazel" "$_gf_published/nix"
  fi
  if [ -n "${BASH_VERSION-}" ]; then
    # By way of a variable that is not exported: where PROMPT_COMMAND is, a shell without this hook runs nothing.
    _flywheel_at_prompt=_flywheel_follow
    case ${PROMPT_COMMAND-} in
    *'${_flywheel_at_prompt-}'*) ;;
    *) PROMPT_COMMAND='${_flywheel_at_prompt-}'${PROMPT_COMMAND:+"; $PROMPT_COMMAND"} ;;
    esac
  elif [ -n "${ZSH_VERSION-}" ]; then
    # In zsh's own syntax, which other shells cannot parse.
    eval 'if [[ " ${precmd_functions[*]-} " != *" _flywheel_follow "* ]]; then precmd_functions+=(_flywheel_follow); fi'
  fi
else
  printf '%s\n' 'flywheel: not on PATH, so nothing is guarded here' '  next: put the companion among the packages of this shell' >&2
fi
