#!/bin/sh
# flywheel: finds a Node and hands over to it. The packaged one first, then PATH's; start.cjs checks its version.
self=$0
while [ -h "$self" ]; do # npm and Nix link this file; readlink forks, but only for a link
  link=$(readlink "$self")
  case $link in
  /*) self=$link ;;
  *) self=${self%/*}/$link ;;
  esac
done
case $self in
*/*) here=${self%/*} ;;
*) here=. ;;
esac
for node in "$here/../../node_modules/node/bin/node" "$here/../lib/node"; do
  if [ -x "$node" ]; then break; fi
  node=
done
if [ -z "$node" ] && ! node=$(command -v node); then
  printf '%s\n' 'flywheel: there is no node on PATH' '  next: install Node.js 22.19 or newer' >&2
  exit 127
fi
# The user's NODE_OPTIONS are for the user's programs: exec and compat give them back to the tool.
if [ -n "${NODE_OPTIONS+set}" ]; then
  GF_SAVED_NODE_OPTIONS=$NODE_OPTIONS
  export GF_SAVED_NODE_OPTIONS
  unset NODE_OPTIONS
fi
exec "$node" "$here/../lib/start.cjs" "$@"
