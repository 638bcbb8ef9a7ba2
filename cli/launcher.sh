#!/bin/sh
# flywheel, and under its other name flywheel-credential-helper: finds a Node and hands over to it. The packaged one
# first, then PATH's; start.cjs checks its version.

# A prompt is drawn all the time: its script, beside this file or beside the shim's, is read in before anything else is
# looked for. It ends this shell; what it leaves to Node comes back here.
case ${1-}:$0 in
prompt:*/*)
  for _gf_prompt in "${0%/*}/flywheel-prompt" "${0%/*}/../bin/flywheel-prompt"; do
    if [ -r "$_gf_prompt" ]; then
      . "$_gf_prompt"
      break
    fi
  done
  ;;
esac

_gf_self=$0
while [ -h "$_gf_self" ]; do # npm and Nix link this file; readlink forks, but only for a link
  _gf_link=$(readlink "$_gf_self")
  case $_gf_link in
  /*) _gf_self=$_gf_link ;;
  *) _gf_self=${_gf_self%/*}/$_gf_link ;;
  esac
done
case $_gf_self in
*/*) _gf_here=${_gf_self%/*} ;;
*) _gf_here=. ;;
esac

# exec and compat, in their plain forms, go straight to the shim: with no Node between, the caller's bytes,
# limits, signals and descriptors are the tool's. Every other form, and every mistake, is Node's to explain.
_gf_find() {
  case ${1-} in
  '' | flywheel | *[!abcdefghijklmnopqrstuvwxyz0123456789-]*) return 1 ;;
  esac
  for _gf_shim in "$_gf_here/../shim/$1" "$_gf_here"/../shim-*/"$1"; do
    if [ -x "$_gf_shim" ]; then return 0; fi
  done
  return 1
}
case ${_gf_self##*/}:${1-} in
flywheel:exec)
  if [ "${2-}" = -- ] && _gf_find "${3-}"; then
    shift 3
    GF_GUARD_SCOPE=all
    export GF_GUARD_SCOPE
    exec "$_gf_shim" "$@"
  fi
  ;;
flywheel:compat)
  case ${3-} in
  *[![:space:]]*)
    if [ "${2-}" = --reason ] && [ "${4-}" = -- ] && _gf_find "${5-}"; then
      GF_GUARD_BYPASS=$3
      export GF_GUARD_BYPASS
      shift 5
      exec "$_gf_shim" "$@"
    fi
    ;;
  esac
  ;;
esac

for _gf_node in "$_gf_here/../../node_modules/node/bin/node" "$_gf_here/../lib/node"; do
  if [ -x "$_gf_node" ]; then break; fi
  _gf_node=
done
if [ -z "$_gf_node" ] && ! _gf_node=$(command -v node); then
  printf '%s\n' 'flywheel: there is no node on PATH' '  next: install Node.js 22.19 or newer' >&2
  exit 127
fi
# The user's NODE_OPTIONS are for the user's programs: exec and compat give them back to the tool.
if [ -n "${NODE_OPTIONS+set}" ]; then
  GF_SAVED_NODE_OPTIONS=$NODE_OPTIONS
  export GF_SAVED_NODE_OPTIONS
  unset NODE_OPTIONS
fi
case ${_gf_self##*/} in
flywheel-credential-helper) exec "$_gf_node" "$_gf_here/../lib/credential-helper.js" "$@" ;; # while Bazel waits: start.cjs is not asked
*) exec "$_gf_node" "$_gf_here/../lib/start.cjs" "$@" ;;
esac
