# zsh's first start file in `flywheel shell`, found by ZDOTDIR. It gives ZDOTDIR back at once, so that zsh itself reads
# every file of the user's, in its own order; the guard goes in front of what they put on PATH at the first prompt.
_flywheel_mark=$GF_SHELL_MARK _flywheel_shim=$GF_SHELL_SHIM _flywheel_hook=$GF_SHELL_HOOK _flywheel_before=$GF_SHELL_SEEN
if (( ${+GF_SHELL_ZDOTDIR} )); then
  export ZDOTDIR=$GF_SHELL_ZDOTDIR
else
  unset ZDOTDIR
fi
unset GF_SHELL_MARK GF_SHELL_SHIM GF_SHELL_HOOK GF_SHELL_SEEN GF_SHELL_ZDOTDIR

_flywheel_first_prompt() {
  local gf_status=$?
  emulate -L zsh
  precmd_functions=(${precmd_functions:#_flywheel_first_prompt})
  preexec_functions=(${preexec_functions:#_flywheel_first_prompt})
  PATH=$_flywheel_shim:$PATH
  _flywheel_entered=$_flywheel_before
  . $_flywheel_hook
  precmd_functions+=(_flywheel_prompt)
  unset _flywheel_before
  unfunction _flywheel_first_prompt
  # Those that were added just now are called from the next prompt on.
  _flywheel_follow
  _flywheel_prompt
  return $gf_status
}

# Before each prompt: flywheel is told that one comes, past whatever standard output and error have become.
_flywheel_prompt() {
  local gf_status=$?
  { printf '\033]7717;prompt;%s\007' "$_flywheel_mark" >/dev/tty } 2>/dev/null || :
  return $gf_status
}

# The one before the first command is for start files that set precmd_functions anew.
typeset -ga precmd_functions preexec_functions
precmd_functions+=(_flywheel_first_prompt)
preexec_functions+=(_flywheel_first_prompt)

if [[ -r ${ZDOTDIR:-$HOME}/.zshenv ]]; then . ${ZDOTDIR:-$HOME}/.zshenv; fi
