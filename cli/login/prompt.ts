/** A question whose answer is not shown. */
import type { ReadStream } from "node:tty";
import type { Output } from "../output/output.ts";

/** What ends this process while it asks, but leaves the terminal to others: it is given back as it was first. */
const endings = ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"] as const;

/** A paste's marks, where a shell left the terminal so that it sends them. */
const pasteMarks = ["\u001b[200~", "\u001b[201~"] as const;

/**
 * Asks on standard error and reads from the terminal, byte for byte: a terminal's own line editing would end a line at
 * 4095 characters, and some tokens are longer. Backspace and Ctrl-U take back what was typed.
 * @returns what was typed; undefined where the user left it with Ctrl-C or Ctrl-D
 */
export async function askHidden(output: Output, question: string): Promise<string | undefined> {
  const { stdin } = process;
  stdin.setRawMode(true);
  const restore = (): void => {
    stdin.setRawMode(false);
  };
  const end = (signal: NodeJS.Signals): void => {
    restore();
    for (const each of endings) process.removeListener(each, end);
    process.kill(process.pid, signal);
  };
  for (const each of endings) process.on(each, end);
  // Only now: whoever answers at once is not shown either.
  output.rawNotice(question);
  try {
    return await line(stdin);
  } finally {
    restore();
    for (const each of endings) process.removeListener(each, end);
    stdin.pause();
    output.notice("");
  }
}

function line(stdin: ReadStream): Promise<string | undefined> {
  const { promise, resolve } = Promise.withResolvers<string | undefined>();
  let text = "";
  const take = (chunk: string): void => {
    for (const character of pasteMarks.reduce((rest, mark) => rest.replaceAll(mark, ""), chunk)) {
      switch (character) {
        case "\r":
        case "\n":
          done(text);
          return;
        case "\u0003":
        case "\u0004":
          done(undefined);
          return;
        case "\u0015":
          text = "";
          break;
        case "\b":
        case "\u007f":
          text = text.slice(0, -1);
          break;
        default:
          text += character;
      }
    }
  };
  const gone = (): void => done(undefined);
  const done = (answer: string | undefined): void => {
    stdin.off("data", take);
    stdin.off("end", gone);
    stdin.off("error", gone);
    resolve(answer);
  };
  stdin.setEncoding("utf8");
  stdin.on("data", take);
  stdin.on("end", gone);
  stdin.on("error", gone);
  return promise;
}
