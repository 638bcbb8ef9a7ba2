# bash's start file in `flywheel shell` (by --rcfile): the user's own files first, then the guard in front of whatever
# they put on PATH, and the attachment followed from prompt to prompt. What it was told goes no further than this shell.
_flywheel_mark=$GF_SHELL_MARK _flywheel_shim=$GF_SHELL_SHIM _flywheel_hook=$GF_SHELL_HOOK _flywheel_before=$GF_SHELL_SEEN
_flywheel_login=${GF_SHELL_LOGIN-}
unset GF_SHELL_MARK GF_SHELL_SHIM GF_SHELL_HOOK GF_SHELL_SEEN GF_SHELL_LOGIN

# A login bash reads no --rcfile, so this one is none: it reads what a login bash does.
if [ -n "$_flywheel_login" ]; then
  if [ -r /etc/profile ]; then . /etc/profile; fi
  for _flywheel_file in ~/.bash_profile ~/.bash_login ~/.profile; do
    if [ -r "$_flywheel_file" ]; then
      . "$_flywheel_file"
      break
    fi
  done
elif [ -r ~/.bashrc ]; then
  . ~/.bashrc
fi

PATH=$_flywheel_shim:$PATH
_flywheel_entered=$_flywheel_before
. "$_flywheel_hook"

# Before each prompt: flywheel is told that one comes, past whatever standard output and error have become.
_flywheel_prompt() {
  local status=$?
  _flywheel_follow
  { printf '\033]7717;prompt;%s\007' "$_flywheel_mark" >/dev/tty; } 2>/dev/null || :
  return "$status"
}
_flywheel_at_prompt=_flywheel_prompt
unset _flywheel_login _flywheel_file _flywheel_before
