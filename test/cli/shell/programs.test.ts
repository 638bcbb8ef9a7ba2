/** Programs that own the screen: in `flywheel shell` they show what they show outside of it. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { execa } from "execa";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { programOnPath, required } from "../../fixtures/peers.ts";
import type { Outer } from "../../fixtures/pty/outer.ts";
import { built } from "../../fixtures/stage.ts";
import { ask, followingShells, type House, makeHouse, ready } from "./house.ts";

let house: House;
beforeEach(() => {
  house = makeHouse();
});
afterEach(() => house[Symbol.dispose]());

/** Does the same in a plain shell and in ours, both cleared first, and gives what each showed at the end. */
async function both(act: (outer: Outer) => Promise<string>): Promise<{ outside: string; inside: string }> {
  await using plain = house.plain("bash");
  await using outer = house.flywheel("bash");
  const screens: string[] = [];
  for (const each of [plain, outer]) {
    await ready(each);
    each.type("clear\r");
    await each.until((screen) => screen === "ready>");
    screens.push(await act(each));
  }
  const [outside = "", inside = ""] = screens;
  return { outside, inside };
}

test("vim edits and saves; its screen is the same, and gone afterwards", async ({ skip }) => {
  required(programOnPath("vim"), skip);
  const { outside, inside } = await both(async (outer) => {
    house.write("poem", "first line\nsecond line\n");
    outer.type("vim -u NONE -i NONE -n -N --cmd 'set title' poem\r");
    await outer.until("second line");
    expect(outer.modes().alternate).toBe(true);
    outer.type("ofrom inside é☃\u001bgUU");
    await outer.until("FROM INSIDE É☃");
    outer.type(":w\r");
    await outer.until(/"poem" 3L.*written/);
    const screen = outer.screen();
    outer.type(":q\r");
    await ready(outer);
    expect(outer.modes()).toMatchObject({ alternate: false, mouse: "none" });
    expect(outer.screen()).not.toContain("second line");
    return screen;
  });
  expect(inside).toBe(outside);
  expect(readFileSync(join(house.dir, "poem"), "utf8")).toBe("first line\nFROM INSIDE É☃\nsecond line\n");
});

test("vim stops by Ctrl-Z and comes back by fg; the mouse and a resize reach it", async ({ skip }) => {
  required(programOnPath("vim"), skip);
  const { outside, inside } = await both(async (outer) => {
    house.write("poem", Array.from({ length: 60 }, (_, line) => `line ${line + 1}\n`).join(""));
    outer.type("vim -u NONE -i NONE -n -N --cmd 'set mouse=a ttymouse=sgr ruler' poem\r");
    await outer.until("line 23");
    outer.type("\u001a");
    await outer.until("Stopped");
    outer.type("fg\r");
    await outer.until("line 23");
    expect(outer.modes().mouse).not.toBe("none");
    // A click on row 5, column 3.
    outer.type("\u001b[<0;3;5M\u001b[<0;3;5m");
    await outer.until(/5,3/);
    outer.resize(60, 12);
    await outer.until((screen) => screen.split("\n").length === 12 && /5,3 +\d+%$/.test(screen));
    const screen = outer.screen();
    outer.resize(80, 24);
    outer.type(":q!\r");
    await outer.until((text) => text.endsWith("ready>"));
    return screen;
  });
  expect(inside).toBe(outside);
});

test("less scrolls, searches and leaves", async ({ skip }) => {
  required(programOnPath("less"), skip);
  const { outside, inside } = await both(async (outer) => {
    house.write("long", Array.from({ length: 500 }, (_, line) => `entry ${line + 1}\n`).join(""));
    outer.type("less long\r");
    await outer.until("entry 23");
    outer.type("  ");
    await outer.until("entry 69");
    outer.type("/entry 4.7\r");
    await outer.until("entry 407");
    const screen = outer.screen();
    outer.type("q");
    await ready(outer);
    expect(outer.modes().alternate).toBe(false);
    return screen;
  });
  expect(inside).toBe(outside);
});

test.each([
  ["top", "top -d 60\r", /PID USER/],
  ["htop", "htop -d 100\r", /F10\s*Quit/],
])("%s draws, fits a new size, and gives the screen back", async (name, line, drawn) => {
  const program = programOnPath(name);
  if (!program.available) throw new Error(program.reason);
  await using outer = house.flywheel("bash");
  await ready(outer);
  outer.type(line);
  await outer.until(drawn);
  outer.resize(100, 30);
  await outer.until((screen) => drawn.test(screen) && screen.split("\n").some((row) => row.length > 85));
  outer.type("q");
  await outer.until((screen) => screen.endsWith("ready>"));
  expect(outer.modes()).toEqual({ alternate: false, paste: true, mouse: "none" });
  expect(await ask(outer, "echo usable")).toBe("usable");
});

describe("tmux", () => {
  test.each(followingShells)("%s of flywheel shell in a pane, and tmux in flywheel shell", { timeout: 60_000 }, async (shell) => {
    const tmux = programOnPath("tmux");
    if (!tmux.available) throw new Error(tmux.reason);
    const server = ["-f", "/dev/null", "-S", join(house.dir, "tmux")];
    await using outer = house.open(tmux.path, [...server, "new-session", `${built.flywheel} shell`], {
      env: { SHELL: `/usr/bin/${shell}` },
    });
    try {
      await outer.until("ready>");
      outer.type("printf 'in a %s\\n' pane\r");
      await outer.until("in a pane");
      outer.type("exit 0\r");
      expect((await outer.ended).kind).toBe("exited");

      await using ours = house.flywheel("bash", [], { env: { SHELL: "/bin/bash" } });
      await ready(ours);
      ours.type(`tmux ${server.join(" ")} new-session\r`);
      await ours.until((screen) => screen.startsWith("ready>") && screen.includes("[0] 0:"));
      // A pane's shell is the user's own: it has the environment, and is not taken for a second flywheel shell.
      ours.type('echo "$GF_GUARD_SCOPE"; tmux split-window\r');
      await ours.until(/^all$/m);
      ours.type("\u0004");
      ours.type("tmux kill-server\r");
      await ours.until((screen) => screen.includes("[server exited]") || screen.endsWith("ready>"));
    } finally {
      await execa(tmux.path, [...server, "kill-server"], { reject: false });
    }
  });
});
