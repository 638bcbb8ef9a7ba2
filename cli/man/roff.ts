/** Text as roff takes it (groff_char(7)): nothing in it is a request or an escape, and each hyphen can be copied as one. */

/** Running text. */
export function roff(text: string): string {
  return (
    text
      .replaceAll("\\", "\\e")
      .replaceAll("-", "\\-")
      .replaceAll("^", "\\(ha")
      .replaceAll("~", "\\(ti")
      .replaceAll("`", "\\(ga")
      .replaceAll("'", "\\(aq")
      .replaceAll('"', "\\(dq")
      // A page is ASCII, whatever the reader's locale.
      .replaceAll(/[^\n -~]/gu, (character) => `\\[u${(character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0")}]`)
      .replaceAll(/^\./gm, "\\&.")
  );
}

/** One word of a request: quoted, since it may hold spaces. */
export function argument(text: string): string {
  return `"${roff(text)}"`;
}

/** A paragraph with a hanging tag. */
export function tagged(tag: string, text: string): string {
  return `.TP\n.B ${argument(tag)}\n${roff(text)}`;
}

/** Lines as they are. */
export function verbatim(text: string): string {
  return `.RS 4\n.nf\n${roff(text)}\n.fi\n.RE`;
}
