import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Modes } from "../../../cli/shell/modes.ts";
import { OutputScanner } from "../../../cli/shell/scanner.ts";
import { Title, takesTitle } from "../../../cli/shell/title.ts";

const mark = Buffer.from("\u001b]7717;prompt;0123456789abcdef\u0007");

/** What passes, with `<prompt>` where a mark was, and what was heard. */
function scan(chunks: readonly (string | Buffer)[]): { text: string; controls: string[]; titles: number; between: boolean } {
  const controls: string[] = [];
  let titles = 0;
  const scanner = new OutputScanner(mark, {
    control: (sequence) => void controls.push(sequence),
    keypad: () => {},
    title: () => {
      titles += 1;
    },
  });
  let text = "";
  for (const chunk of chunks)
    for (const piece of scanner.push(Buffer.from(chunk as string)))
      text += piece.kind === "bytes" ? piece.bytes.toString("latin1") : "<prompt>";
  return { text: text + scanner.end().toString("latin1"), controls, titles, between: scanner.between };
}

test("every byte passes, in any chunks, also random ones and beginnings of marks", () => {
  const piece = fc.oneof(
    fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)),
    fc.integer({ min: 0, max: mark.length - 1 }).map((length) => mark.subarray(0, length)),
    fc.constantFrom("\u001b[31m", "\u001b]0;title\u0007", "\u001bP1$r\u001b\\", "\u001b", "é☃😀").map((text) => Buffer.from(text)),
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 12 }), fc.array(fc.nat(400), { maxLength: 8 }), (pieces, cuts) => {
      const whole = Buffer.concat(pieces);
      fc.pre(!whole.includes(mark));
      expect(scan(cutAt(whole, cuts)).text).toBe(whole.toString("latin1"));
    }),
    { numRuns: 500 },
  );
});

test("a mark is taken out and told wherever it is cut; a mark with another nonce passes", () => {
  const whole = Buffer.concat([Buffer.from("before"), mark, Buffer.from("$ "), mark, mark]);
  for (let first = 0; first <= whole.length; first += 1)
    for (const second of [first + 1, first + 9]) expect(scan(cutAt(whole, [first, second])).text).toBe("before<prompt>$ <prompt><prompt>");
  const other = mark.toString().replace("0123", "3210");
  expect(scan([other]).text).toBe(other);
  expect(scan([...mark].map((byte) => Buffer.from([byte]))).text).toBe("<prompt>");
});

test.each<[string, string, boolean]>([
  ["text", "abc\r\n", true],
  ["an escape begun, which is kept back", "abc\u001b", true],
  ["a control sequence begun", "\u001b[38;2;1", false],
  ["and ended", "\u001b[38;2;1;2;3m", true],
  ["a string begun", "\u001b]0;title", false],
  ["ended by BEL", "\u001b]0;title\u0007", true],
  ["ended by ST", "\u001bP q\u001b\\", true],
  ["in the middle of ST", "\u001bP q\u001b", false],
  ["broken off by CAN", "\u001bP q\u0018", true],
  ["a character set chosen", "\u001b(B", true],
  ["half of that", "\u001b(", false],
  ["a control character inside a sequence", "\u001b[3\n1m", true],
  ["a sequence that begins inside a string", "\u001bPabc\u001b[1", false],
])("between sequences? %s", (_what, text, between) => {
  expect(scan([text]).between).toBe(between);
  expect(scan([...Buffer.from(text)].map((byte) => Buffer.from([byte]))).between).toBe(between);
});

test("between characters", () => {
  const snowman = Buffer.from("☃");
  expect([1, 2, 3].map((length) => scan([snowman.subarray(0, length)]).between)).toEqual([false, false, true]);
  expect(scan([Buffer.from([0xf0, 0x9f, 0x98])]).between).toBe(false);
  // What is no UTF-8 ends nowhere, and waits for nothing.
  expect(scan([Buffer.from([0x80, 0x80, 0x80, 0x80])]).between).toBe(true);
});

test("titles and control sequences are heard", () => {
  expect(scan(["\u001b]0;a\u0007\u001b]2;b\u001b\\\u001b]7;file:///\u0007\u001b]10;?\u0007\u001bktmux\u001b\\"]).titles).toBe(3);
  expect(scan(["\u001b[?1049h\u001b[1;31mx\u001b[?10", "49l"]).controls).toEqual(["?1049h", "1;31m", "?1049l"]);
});

describe("what is left of a program that was killed", () => {
  const leftBy = (text: string): string => {
    const modes = new Modes();
    new OutputScanner(mark, {
      control: (sequence) => modes.heard(sequence),
      keypad: (mode) => modes.keypad(mode),
      title: () => {},
    }).push(Buffer.from(text));
    return modes.leftovers();
  };

  test("nothing, where it took everything back", () => {
    expect(leftBy("\u001b[?1049h\u001b[?1000;1006h\u001b[?25l text \u001b[?25h\u001b[?1006;1000l\u001b[?1049l\u001b[>1u\u001b[<u")).toBe(
      "",
    );
  });

  test("is taken back", () => {
    expect(leftBy("\u001b[?1049h\u001b[?1002;1006h\u001b[?2004h\u001b[?25l\u001b[>5u\u001b[>4;2m")).toBe(
      "\u001b[?1002l\u001b[?1006l\u001b[?2004l\u001b[?1049l\u001b[?25h\u001b[<1u\u001b[>4m\u001b[0m",
    );
  });

  test("the keypad's mode and the wrapping of long lines too", () => {
    expect(leftBy("\u001b[?1h\u001b=\u001b[?7;25l")).toBe("\u001b[?1l\u001b[?7h\u001b>\u001b[?25h\u001b[0m");
    expect(leftBy("\u001b=\u001b[?7l\u001b[?7h\u001b>")).toBe("");
    // Character sets of that name, and text of a string.
    expect(leftBy("\u001b(=\u001b)[x\u001b]0;=\u0007=")).toBe("");
  });

  test("modes that were set in one long list", () => {
    const list = ["1000", "1002", "1003", "1006", "1015", "1004", "2004", "1049", "1047", "2026", "66"];
    const taken = leftBy(`\u001b[?${list.join(";")}h`);
    for (const mode of list) expect(taken).toContain(`\u001b[?${mode}l`);
  });
});

describe("the title", () => {
  test("is written once, and again after a prompt only where a program had changed it", () => {
    const title = new Title("a");
    expect([title.due(), title.due(), title.atPrompt()]).toEqual(["\u001b]2;a\u0007", "", ""]);
    title.taken();
    title.want("b");
    expect([title.due(), title.atPrompt(), title.due()]).toEqual(["", "\u001b]2;b\u0007", ""]);
    title.taken();
    expect(title.atPrompt()).toBe("\u001b]2;b\u0007");
  });

  test("only where the terminal takes one", () => {
    expect(["xterm-256color", "tmux-256color", "dumb", "linux", "", undefined].map(takesTitle)).toEqual([
      true,
      true,
      false,
      false,
      false,
      false,
    ]);
  });
});

function cutAt(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const places = [0, ...cuts.filter((cut) => cut < bytes.length).toSorted((a, b) => a - b), bytes.length];
  return places.slice(1).map((end, index) => bytes.subarray(places[index], end));
}
