/** Words as a POSIX shell reads them back. */

/** bash, zsh and every POSIX shell: single quotes, which hold anything but themselves. */
export function posixQuoted(value: string): string {
  return `'${value.replaceAll("'", "'\\''")}'`;
}

/** For a line that a person may type or paste: a plain word or path as it is. What begins with `=` is a path to zsh. */
export function typed(word: string): string {
  return /^(?!=)[A-Za-z0-9_@%+=:,./-]+$/.test(word) ? word : posixQuoted(word);
}
