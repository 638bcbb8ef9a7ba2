#!/bin/sh
# flywheel-credential-helper: Bazel's credential helper. Finds a Node as flywheel does, and hands over to it.
_gf_self=$0
while [ -h "$_gf_self" ]; do # npm and Nix link this file
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
for _gf_node in "$_gf_here/../../node_modules/node/bin/node" "$_gf_here/../lib/node"; do
  if [ -x "$_gf_node" ]; then break; fi
  _gf_node=
done
if [ -z "$_gf_node" ] && ! _gf_node=$(command -v node); then
  printf '%s\n' 'flywheel-credential-helper: there is no node on PATH' >&2
  exit 1
fi
# The user's NODE_OPTIONS are for the user's programs.
unset NODE_OPTIONS
exec "$_gf_node" "$_gf_here/../lib/credential-helper.js" "$@"
