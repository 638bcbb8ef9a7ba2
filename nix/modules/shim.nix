# Shell code that puts the guard first on PATH, once, for the start files of interactive shells: as cli/rc/block.ts.
{ package }:
{
  posix = ''
    case "$PATH:" in
    ${package.shim}:*) ;;
    *) export PATH=${package.shim}:"$PATH" ;;
    esac
  '';
  fish = ''
    if test "$PATH[1]" != ${package.shim}
        set -gx PATH ${package.shim} $PATH
    end
  '';
}
