/** What the person at the keys has done so far, and what the next key does to it. Pure: acting is app.tsx's. */
import { parseEndpoint, type Tool, withoutCredentials } from "../../contract/endpoint.ts";
import { printable } from "../../contract/text.ts";
import { type Edit, edit, emptyEdit, insert } from "./editor.ts";
import type { Press } from "./keys.ts";

export type Pane = "candidates" | "builds";

export type Mode =
  | { readonly name: "main" }
  | { readonly name: "help"; readonly top: number }
  | { readonly name: "detail"; readonly top: number }
  /** `back`: so many lines before the last; 0 follows. */
  | { readonly name: "logs"; readonly back: number }
  | { readonly name: "filter"; readonly edit: Edit }
  | { readonly name: "attach"; readonly kind: Tool; readonly edit: Edit; readonly fault: string | undefined }
  | { readonly name: "confirm-attach"; readonly kind: Tool; readonly endpoint: string }
  | { readonly name: "confirm-detach" };

export interface Ui {
  readonly mode: Mode;
  /** Undefined until somebody chose one: then it is the one that tells more. */
  readonly pane: Pane | undefined;
  readonly chosen: Readonly<Record<Pane, string | undefined>>;
  readonly filter: string;
}

export const firstUi: Ui = { mode: { name: "main" }, pane: undefined, chosen: { candidates: undefined, builds: undefined }, filter: "" };

/** What the daemon is asked to do. */
export type DaemonAct =
  | { readonly act: "verify" | "detach" | "up" }
  | { readonly act: "attach"; readonly kind: Tool; readonly endpoint: string };
export type Effect = { readonly act: "quit" | "suspend" | "copy" } | DaemonAct;

/** The rows of each pane as they are shown, by key; and the pane that keys go to where nobody chose one. */
export interface Shown extends Readonly<Record<Pane, readonly string[]>> {
  readonly first: Pane;
}

export interface Pressed {
  readonly ui: Ui;
  readonly effect?: Effect;
}

export function press(ui: Ui, key: Press, shown: Shown): Pressed {
  if (key.is === "interrupt") return { ui, effect: { act: "quit" } };
  if (key.is === "suspend") return { ui, effect: { act: "suspend" } };
  switch (ui.mode.name) {
    case "main":
      return pressMain(ui, key, shown);
    case "help":
    case "detail":
      return { ui: scrolled(ui, ui.mode, key) };
    case "logs":
      return { ui: scrolledLog(ui, ui.mode, key) };
    case "filter":
      return { ui: filtered(ui, ui.mode.edit, key) };
    case "attach":
      return { ui: { ...ui, mode: attaching(ui.mode, key) } };
    case "confirm-attach": {
      const { kind, endpoint } = ui.mode;
      return isYes(key) ? { ui: toMain(ui), effect: { act: "attach", kind, endpoint } } : { ui: toMain(ui) };
    }
    case "confirm-detach":
      return isYes(key) ? { ui: toMain(ui), effect: { act: "detach" } } : { ui: toMain(ui) };
  }
}

/** A paste is text where text is asked for, and nothing elsewhere. */
export function paste(ui: Ui, text: string): Ui {
  const { mode } = ui;
  if (mode.name === "attach") return { ...ui, mode: { ...mode, edit: insert(mode.edit, text.trim()), fault: undefined } };
  if (mode.name !== "filter") return ui;
  const edited = insert(mode.edit, text);
  return { ...ui, mode: { name: "filter", edit: edited }, filter: edited.text };
}

export function paneOf({ pane }: Ui, { first }: Shown): Pane {
  return pane ?? first;
}

/** The key of the chosen row: the first where none was chosen, or it is not there any more. */
export function chosenKey({ chosen }: Ui, pane: Pane, shown: Shown): string | undefined {
  const key = chosen[pane];
  return key !== undefined && shown[pane].includes(key) ? key : shown[pane][0];
}

function toMain(ui: Ui): Ui {
  return { ...ui, mode: { name: "main" } };
}

function isYes(key: Press): boolean {
  return key.is === "text" && key.text.toLowerCase() === "y";
}

function pressMain(ui: Ui, key: Press, shown: Shown): Pressed {
  switch (key.is) {
    case "up":
      return { ui: moved(ui, -1, shown) };
    case "down":
      return { ui: moved(ui, 1, shown) };
    case "page-up":
      return { ui: moved(ui, -10, shown) };
    case "page-down":
      return { ui: moved(ui, 10, shown) };
    case "tab":
      return { ui: { ...ui, pane: paneOf(ui, shown) === "candidates" ? "builds" : "candidates" } };
    case "enter":
      return {
        ui:
          chosenKey(ui, paneOf(ui, shown), shown) === undefined ? ui : { ...ui, pane: paneOf(ui, shown), mode: { name: "detail", top: 0 } },
      };
    case "escape":
      return { ui: { ...ui, filter: "" } };
    case "edit":
      return { ui: sideways(ui, key.how, shown) };
    case "text":
      return pressLetter(ui, key.text, shown);
    case "interrupt":
    case "suspend":
      return { ui };
  }
}

function sideways(ui: Ui, how: Extract<Press, { is: "edit" }>["how"], shown: Shown): Ui {
  switch (how) {
    case "left":
      return { ...ui, pane: "candidates" };
    case "right":
      return { ...ui, pane: "builds" };
    case "start":
      return moved(ui, -Infinity, shown);
    case "end":
      return moved(ui, Infinity, shown);
    default:
      return ui;
  }
}

function pressLetter(ui: Ui, letter: string, shown: Shown): Pressed {
  switch (letter) {
    case "q":
      return { ui, effect: { act: "quit" } };
    case "?":
      return { ui: { ...ui, mode: { name: "help", top: 0 } } };
    case "/":
      return { ui: { ...ui, mode: { name: "filter", edit: { text: ui.filter, at: ui.filter.length } } } };
    case "j":
      return { ui: moved(ui, 1, shown) };
    case "k":
      return { ui: moved(ui, -1, shown) };
    case "h":
      return { ui: { ...ui, pane: "candidates" } };
    case "g":
      return { ui: moved(ui, -Infinity, shown) };
    case "G":
      return { ui: moved(ui, Infinity, shown) };
    case "l":
      return { ui: { ...ui, mode: { name: "logs", back: 0 } } };
    case "r":
      return { ui, effect: { act: "verify" } };
    case "u":
      return { ui, effect: { act: "up" } };
    case "c":
      return { ui, effect: { act: "copy" } };
    case "a":
      return { ui: { ...ui, mode: { name: "attach", kind: "bazel", edit: emptyEdit, fault: undefined } } };
    case "d":
      return { ui: { ...ui, mode: { name: "confirm-detach" } } };
    default:
      return { ui };
  }
}

function moved(ui: Ui, by: number, shown: Shown): Ui {
  const pane = paneOf(ui, shown);
  const keys = shown[pane];
  const from = keys.indexOf(chosenKey(ui, pane, shown) ?? "");
  const to = keys[Math.min(keys.length - 1, Math.max(0, from + by))];
  // Whoever moves in a pane has chosen it.
  return { ...ui, pane, chosen: { ...ui.chosen, [pane]: to } };
}

/** How far a key goes in a text that is only read; undefined for one that leaves it. */
function step(key: Press): number | undefined {
  switch (key.is) {
    case "up":
      return -1;
    case "down":
      return 1;
    case "page-up":
      return -10;
    case "page-down":
      return 10;
    case "text":
      if (key.text === "j") return 1;
      if (key.text === "k") return -1;
      return key.text === "q" || key.text === "?" || key.text === "l" ? undefined : 0;
    case "edit":
      return key.how === "left" ? undefined : 0;
    case "enter":
    case "escape":
      return undefined;
    case "tab":
    case "interrupt":
    case "suspend":
      return 0;
  }
}

function scrolled(ui: Ui, mode: Extract<Mode, { name: "help" | "detail" }>, key: Press): Ui {
  const by = step(key);
  return by === undefined ? toMain(ui) : { ...ui, mode: { ...mode, top: Math.max(0, mode.top + by) } };
}

function scrolledLog(ui: Ui, mode: Extract<Mode, { name: "logs" }>, key: Press): Ui {
  const by = step(key);
  return by === undefined ? toMain(ui) : { ...ui, mode: { ...mode, back: Math.max(0, mode.back - by) } };
}

function filtered(ui: Ui, before: Edit, key: Press): Ui {
  if (key.is === "escape") return { ...toMain(ui), filter: "" };
  if (key.is === "enter") return toMain(ui);
  const after = edited(before, key);
  return { ...ui, mode: { name: "filter", edit: after }, filter: after.text };
}

function attaching(mode: Extract<Mode, { name: "attach" }>, key: Press): Mode {
  if (key.is === "escape") return { name: "main" };
  if (key.is === "tab") return { ...mode, kind: mode.kind === "bazel" ? "nix" : "bazel", fault: undefined };
  if (key.is !== "enter") return { ...mode, edit: edited(mode.edit, key), fault: undefined };
  const text = mode.edit.text.trim();
  const parsed = parseEndpoint(text, mode.kind);
  if (parsed.ok) return { name: "confirm-attach", kind: mode.kind, endpoint: parsed.endpoint.url };
  return { ...mode, fault: text === "" ? parsed.message : `${printable(withoutCredentials(text), 80)}: ${parsed.message}` };
}

function edited(before: Edit, key: Press): Edit {
  if (key.is === "text") return insert(before, key.text);
  return key.is === "edit" ? edit(before, key.how) : before;
}
