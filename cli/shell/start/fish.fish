# Run by fish in `flywheel shell` (by --init-command), after the user's own files: the guard in front of whatever they
# put on PATH, and the attachment followed from prompt to prompt, as nix/shell-hook.sh does it in bash and zsh.
set -g _flywheel_mark $GF_SHELL_MARK
set -g _flywheel_seen $GF_SHELL_SEEN
set -g _flywheel_shim $GF_SHELL_SHIM
set -e GF_SHELL_MARK
set -e GF_SHELL_SEEN
set -e GF_SHELL_SHIM
set -e GF_SHELL_HOOK
set -gx GF_GUARD_SCOPE all

# The shim first on PATH, once, with the directory of each tool that is there.
function _flywheel_first
    set -l rest
    for dir in $PATH
        test -e $dir/.flywheel-shim; or set -a rest $dir
    end
    set -gx PATH $rest
    set -l shims $_flywheel_shim
    for tool in nix nixos-rebuild darwin-rebuild home-manager
        command -q $tool; and set -a shims $_flywheel_shim-$tool
    end
    set -gx PATH $shims $PATH
end

# What is published, as far as the environment depends on it. Compared, never evaluated.
function _flywheel_look
    set -l published $HOME/.local/state/gloriousflywheel/run
    string match -q '/*' -- "$XDG_RUNTIME_DIR"; and set published $XDG_RUNTIME_DIR/gloriousflywheel
    string match -q '/*' -- "$GF_RUNTIME_DIR"; and set published $GF_RUNTIME_DIR
    set -l profile default
    test -n "$_flywheel_profile"; and set profile $_flywheel_profile
    test -n "$GF_PROFILE"; and set profile $GF_PROFILE
    set -g _flywheel_now ''
    for file in $published/attachment/$profile/bazel $published/attachment/$profile/nix
        test -f $file -a -r $file; or continue
        while read -l line
            string match -qr '^(state|endpoint) ' -- $line; and set -g _flywheel_now "$_flywheel_now $line"
        end <$file
    end
end

# Before each prompt: the attachment may have come, gone or moved; then flywheel is told that a prompt comes.
function _flywheel_prompt --on-event fish_prompt
    set -l before $status
    _flywheel_look
    if test "$_flywheel_now" != "$_flywheel_seen"
        set -g _flywheel_seen $_flywheel_now
        flywheel env --shell fish --devshell follow </dev/null | source
    end
    printf '\e]7717;prompt;%s\a' $_flywheel_mark >/dev/tty 2>/dev/null
    return $before
end

_flywheel_first
functions -e _flywheel_first
