/** The parts that are only reckoned: cells, bars, the typed line, and a frame for any size of terminal. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { buildsOf } from "../../../cli/tui/builds.ts";
import { subjectsOf } from "../../../cli/tui/candidates.ts";
import { cut, fold, padded, width } from "../../../cli/tui/cells.ts";
import { copySequence } from "../../../cli/tui/clipboard.ts";
import { edit, emptyEdit, insert } from "../../../cli/tui/editor.ts";
import { frameLines } from "../../../cli/tui/frame.ts";
import { helpLines } from "../../../cli/tui/help.ts";
import { lineText } from "../../../cli/tui/line.ts";
import { shareBar, sparkline } from "../../../cli/tui/marks.ts";
import { nextSteps, warnings } from "../../../cli/tui/next.ts";
import type { Link } from "../../../cli/tui/scene.ts";
import { newSentences, sentences } from "../../../cli/tui/spoken.ts";
import { statusLine } from "../../../cli/tui/status-line.ts";
import { firstUi, type Mode } from "../../../cli/tui/ui.ts";
import { percent } from "../../../contract/words.ts";
import { attached, degraded, escaped, localProof, lost, unattachedAt, untrusted } from "./reports.ts";

describe("help", () => {
  test.each([40, 60, 80, 90, 120])("has every word of its own in %i columns", (columns) => {
    const whole = (cells: number): string =>
      helpLines(cells)
        .map((each) => lineText(each).trim().replaceAll(/ +/g, " "))
        .filter((each) => each !== "")
        .join(" ");
    expect(whole(columns)).toBe(whole(500));
    expect(whole(columns)).not.toMatch(/\S…/);
    for (const each of helpLines(columns)) expect(width(lineText(each))).toBeLessThanOrEqual(columns);
  });

  test("of one line that is left it says so in the singular", () => {
    const mode: Mode = { name: "help", top: 0 };
    const rows = Array.from({ length: 30 }, (_none, at) => at + 10);
    const scene = { news: { link: { state: "live" } as const, report: attached, receivedAt: 0 }, now: { steady: 0, wall: 0 } };
    const frame = { scene, ui: { ...firstUi, mode }, profile: "default", subjects: [], builds: [], log: [], status: undefined };
    const heads = rows.map((height) =>
      frameLines({ ...frame, size: { columns: 100, rows: height } })
        .map(lineText)
        .find((each) => each.startsWith(" Keys")),
    );
    expect(heads.join("\n")).toContain("(1 more line: j)");
    expect(heads.join("\n")).toContain("(2 more lines: j)");
  });
});

describe("detach", () => {
  test.each([80, 120])("asks in whole words at %i columns", (columns) => {
    const asked = statusLine({ name: "confirm-detach" }, columns, { doing: undefined, beat: 0, notice: undefined });
    expect(lineText(asked ?? [])).toMatch(/^detach\? .* until you press u; .*endpoints .*are forgotten y\/N$/);
  });
});

describe("cells", () => {
  test.each([
    ["plain", 5],
    ["缓存", 4],
    ["e\u0301", 1],
    ["👩‍💻", 2],
    ["ｆｕｌｌ", 8],
    ["", 0],
    ["▁█✓✗…", 5],
  ])("%s takes %i", (text, cells) => expect(width(text)).toBe(cells));

  test("what is cut says so, never splits a letter, and never takes more than its room", () => {
    expect(cut("缓存节点", 6)).toBe("缓存…");
    expect(cut("缓存节点", 5)).toBe("缓存…");
    expect(cut("fits", 4)).toBe("fits");
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), fc.nat(40), (text, room) => {
        expect(width(cut(text, room))).toBeLessThanOrEqual(room);
        expect(width(padded(text, room))).toBe(room);
      }),
    );
  });

  test("what is folded keeps every word where there is room, and says where there is none", () => {
    expect(fold("nothing listens on 100.64.0.7:9092", 18, 3)).toEqual(["nothing listens on", "100.64.0.7:9092"]);
    expect(fold("one two three four", 9, 2)).toEqual(["one two", "three fo…"]);
  });
});

describe("marks", () => {
  test("a trail is drawn between its least and its most, a failure as a cross, the latest last", () => {
    expect(sparkline([1, 2, null, 8], 10)).toBe("▁▂×█");
    expect(sparkline([1, 2, null, 8], 2)).toBe("×▁");
    expect(sparkline([5, 5], 5)).toBe("▁▁");
    expect(sparkline([null], 5)).toBe("×");
    expect(sparkline([1], 0)).toBe("");
  });

  test("only a whole share is full, only none is empty", () => {
    expect([0, 0.001, 0.5, 0.999, 1].map((share) => shareBar(share, 10))).toEqual([
      "░░░░░░░░░░",
      "█░░░░░░░░░",
      "█████░░░░░",
      "█████████░",
      "██████████",
    ]);
    expect([0, 0.001, 0.5, 0.999, 1].map(percent)).toEqual(["0 %", "1 %", "50 %", "99 %", "100 %"]);
  });
});

test("a line is typed, mended and pasted into, without the controls of a paste", () => {
  const typed = insert(emptyEdit, "grpc:/cache");
  const mended = insert({ ...typed, at: 5 }, "/");
  expect(mended).toEqual({ text: "grpc://cache", at: 6 });
  expect(edit(edit(mended, "end"), "backspace").text).toBe("grpc://cach");
  expect(edit(mended, "clear")).toEqual({ text: "/cache", at: 0 });
  expect(edit(insert(emptyEdit, "one two"), "word").text).toBe("one ");
  expect(insert(emptyEdit, "a\u001b[31m\r\nb").text).toBe("a[31mb");
});

test("copying: plain, and wrapped for what stands between here and the terminal", () => {
  const plain = "\u001b]52;c;eA==\u0007";
  expect(copySequence("x", {})).toBe(plain);
  expect(copySequence("x", { TMUX: "/tmp/tmux,1,0" })).toBe(`${plain}\u001bPtmux;\u001b${plain}\u001b\\`);
  expect(copySequence("x", { STY: "1.pts" })).toBe(`\u001bP${plain}\u001b\\`);
});

test("a frame has fewer lines than its terminal has rows, none wider than it, whatever the state, the size and the question", () => {
  const reports = [attached, degraded, escaped, localProof, lost, untrusted, unattachedAt("connect"), undefined];
  const links: readonly Link[] = [
    { state: "live" },
    { state: "looking" },
    { state: "gone", since: new Date("2026-11-20T12:00:00Z"), why: "the daemon stopped", next: "flywheel up" },
  ];
  const modes: readonly Mode[] = [
    { name: "main" },
    { name: "help", top: 3 },
    { name: "detail", top: 0 },
    { name: "logs", back: 2 },
    { name: "confirm-detach" },
  ];
  const sizes = { columns: fc.integer({ min: 1, max: 260 }), rows: fc.integer({ min: 2, max: 80 }) };
  fc.assert(
    fc.property(
      fc.record(sizes),
      fc.constantFrom(...reports),
      fc.constantFrom(...links),
      fc.constantFrom(...modes),
      (size, report, link, mode) => {
        const lines = frameLines({
          scene: { news: { link, report, receivedAt: 0 }, now: { steady: 5_000, wall: Date.parse("2026-11-20T12:00:00Z") } },
          ui: { ...firstUi, mode },
          size,
          profile: "default",
          subjects: subjectsOf(report, ""),
          builds: buildsOf(report, ""),
          log: [],
          status: undefined,
        });
        expect(lines.length).toBeLessThan(size.rows);
        expect(Math.max(...lines.map((each) => width(lineText(each))))).toBeLessThanOrEqual(size.columns);
      },
    ),
    { numRuns: 500 },
  );
});

test("only what changed is said again, and no figure that changes by itself is said at all", () => {
  const live = { link: { state: "live" }, receivedAt: 0 } as const;
  const before = sentences({ ...live, report: attached });
  const later = { ...attached, bazel: { ...attached.bazel, proofAgeS: 12, latencyMs: 99, trail: [99] } };
  expect(newSentences(before, sentences({ ...live, report: later }))).toEqual([]);
  expect(newSentences(before, sentences({ ...live, report: degraded }))).toEqual([
    "Bazel: degraded: grpc://100.64.0.7:9092, node cache-1.example.ts.net, direct 192.0.2.7:41641.",
  ]);
});

test("a credential that ends soon is warned of, with what to type; one that lasts is not", () => {
  const ending = (days: number) => {
    const expires = new Date(Date.now() + days * 86_400_000 + 60_000).toISOString();
    const next = "flywheel login grpc://100.64.0.7:9092 --basic --user ann";
    const credential = { scheme: "basic", since: "2020-01-01T00:00:00Z", expires, needed: "yes", next } as const;
    const report = { ...attached, bazel: { ...attached.bazel, credential } };
    const news = { link: { state: "live" }, receivedAt: 0, report } as const;
    return [warnings(news), nextSteps(news)];
  };
  expect(ending(2)).toEqual([["bazel: credential basic, expires in 2 d"], ["flywheel login grpc://100.64.0.7:9092 --basic --user ann"]]);
  expect(ending(30)).toEqual([[], []]);
});
