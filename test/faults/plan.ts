/** What happens to a machine, step by step. Pure: the seed alone decides, never what was seen or how long it took. */
import { Dice } from "./random.ts";

/** The caches of a machine: three that tagged nodes run, and one that only the configuration names. */
export const places = ["a", "b", "c", "o"] as const;
export type PlaceName = (typeof places)[number];

/** What a link may do to the packets between the daemon and a cache. `open` is no fault. */
export type LinkMode =
  | "open"
  /** Every connection is reset. */
  | "cut"
  /** Accepted, then nothing, in either direction. */
  | "silent"
  /** The cache hears the daemon, the daemon not the cache. */
  | "one-way"
  /** The cache's end of each connection is closed at the first byte, but the connection is not. */
  | "half-open"
  /** Answers come 150 ms later: below the probe's timeout. */
  | "slow"
  /** Answers come 3 s later: above it. */
  | "late"
  /** A byte at a time. */
  | "trickle"
  /** Answers with some bits turned. */
  | "corrupt"
  /** Other bytes in the answers' place. */
  | "garbage"
  /** An SSH server's greeting. */
  | "other-protocol"
  /** HTTP 200 with a page to whatever is asked, as a hotel's network says it. */
  | "portal"
  /** A mebibyte in the answers' place. */
  | "flood"
  /** A cache that refuses everybody stands there: PERMISSION_DENIED, HTTP 403. */
  | "deny";

/** What the Tailscale client tells. `home` is no fault. */
export type Situation =
  | "home"
  /** Another tailnet, with the same tags on other addresses and on one of ours. */
  | "foreign"
  | "logged-out"
  | "stopped"
  | "client-gone"
  | "client-hangs"
  | "client-garbage"
  | "client-denies"
  | "untagged-a"
  | "untagged-b"
  | "taken-over-a"
  | "expired-b"
  | "shared-c"
  | "offline-a"
  | "userspace"
  /** Ten nodes more that look like caches and carry no tag. */
  | "lookalikes"
  /** Ten nodes more that carry the tag, and nothing behind it. */
  | "crowd"
  /** Names, tags and health in which a terminal, sh or a line format would find something to act on. */
  | "hostile";

export type Fault =
  | { readonly kind: "link"; readonly place: PlaceName; readonly mode: Exclude<LinkMode, "open"> }
  | { readonly kind: "cache"; readonly place: PlaceName; readonly what: "killed" | "stopped" }
  | { readonly kind: "daemon"; readonly what: "killed" | "terminated" | "stopped" | "wall-clock" }
  | { readonly kind: "clock"; readonly what: "jump"; readonly seconds: number }
  | { readonly kind: "clock"; readonly what: "reboot"; readonly keeps: "runtime directory" | "nothing" }
  | { readonly kind: "disk"; readonly what: "runtime" | "state" }
  | { readonly kind: "tailnet"; readonly situation: Exclude<Situation, "home"> }
  | {
      readonly kind: "published";
      readonly what: "deleted" | "truncated" | "garbage" | "unknown-key" | "doubled-key" | "other-boot" | "future";
    }
  | { readonly kind: "runtime"; readonly what: "removed" | "socket-removed" | "open-to-others" }
  | { readonly kind: "config"; readonly what: "broken" | "operator" };

export type FaultKind = Fault["kind"];

/** What lasts until it is healed, or another fault of the same slot takes its place. */
export type Slot = `link ${PlaceName}` | `cache ${PlaceName}` | "daemon" | `disk ${"runtime" | "state"}` | "tailnet" | "runtime" | "config";

/** What is asked of the product after the fault, besides a guarded build at once. */
export type Act =
  | "nothing"
  | "verify"
  | "status"
  | "up"
  /** Nothing, but the next comes only when what nobody permits any more is not published any more, or had its time. */
  | "take-back";

export interface Step {
  readonly number: number;
  /** Mended first. */
  readonly heals: readonly Slot[];
  readonly fault: Fault;
  /** Guarded builds at once, side by side, right after the fault; or one that the fault meets while it runs. */
  readonly builds: 1 | 3 | "during";
  readonly act: Act;
  /** How long a change of what is published is waited for before the second guarded build: milliseconds; 0: there is none. */
  readonly news: number;
}

/** @returns undefined for what happens once and leaves nothing to heal */
export function slotOf(fault: Fault): Slot | undefined {
  switch (fault.kind) {
    case "link":
    case "cache":
      return `${fault.kind} ${fault.place}`;
    case "daemon":
      return fault.what === "stopped" ? "daemon" : undefined;
    case "disk":
      return `disk ${fault.what}`;
    case "tailnet":
    case "config":
      return fault.kind;
    case "runtime":
      return fault.what === "open-to-others" ? "runtime" : undefined;
    case "clock":
    case "published":
      return undefined;
  }
}

/** What says nothing at all is healed soon; what says that something is not trusted any more, late, so that its word must take effect. */
const mute: readonly Situation[] = ["logged-out", "stopped", "client-gone", "client-hangs", "client-garbage", "client-denies", "userspace"];

/** How likely a fault is healed in a step: so that half of the time some cache is well, or nothing is learned of the guard's yes. */
function healing(fault: Fault): number {
  switch (fault.kind) {
    case "daemon":
      return 0.7;
    case "config":
      return fault.what === "broken" ? 0.6 : 0.2;
    case "runtime":
      return 0.6;
    case "tailnet":
      return mute.includes(fault.situation) ? 0.6 : 0.2;
    default:
      return 0.2;
  }
}

/** @returns `count` steps, the same for the same seed; what is planned first does not depend on how many follow */
export function plan(seed: number, count: number): readonly Step[] {
  const dice = new Dice(seed);
  const broken = new Map<Slot, Fault>();
  return Array.from({ length: count }, (_, index) => {
    const heals = [...broken].filter(([, lasting]) => dice.chance(healing(lasting))).map(([slot]) => slot);
    for (const slot of heals) broken.delete(slot);
    const fault = someFault(dice);
    const slot = slotOf(fault);
    if (slot !== undefined) broken.set(slot, fault);
    // What kills a daemon ends its being stopped too.
    if (fault.kind === "daemon" && fault.what !== "terminated" && fault.what !== "stopped") broken.delete("daemon");
    if (fault.kind === "clock" && fault.what === "reboot") broken.delete("daemon");
    const builds = dice.weighted<Step["builds"]>([
      [6, 1],
      [2, 3],
      [3, "during"],
    ]);
    const some = dice.weighted<Act>([
      [12, "nothing"],
      [4, "verify"],
      [1, "status"],
      [1, "up"],
    ]);
    const revokes = fault.kind === "tailnet" && !mute.includes(fault.situation);
    const act = revokes && dice.chance(0.6) ? "take-back" : some;
    // No command lives through a reboot.
    const reboots = fault.kind === "clock" && fault.what === "reboot";
    return {
      number: index + 1,
      heals,
      fault,
      builds: reboots && builds === "during" ? 1 : builds,
      act,
      news: dice.one([0, 0, 150, 400, 1000]),
    };
  });
}

function someFault(dice: Dice): Fault {
  const place = dice.one<PlaceName>(["a", "a", "a", "b", "b", "c", "c", "o"]);
  const kind = dice.weighted<FaultKind>([
    [26, "link"],
    [14, "cache"],
    [18, "daemon"],
    [10, "clock"],
    [6, "disk"],
    [18, "tailnet"],
    [8, "published"],
    [6, "runtime"],
    [5, "config"],
  ]);
  switch (kind) {
    case "link": {
      const mode = dice.one<Exclude<LinkMode, "open">>([
        ...["cut", "cut", "cut", "silent", "silent", "one-way", "half-open", "slow", "slow", "late", "trickle", "corrupt"],
        ...["garbage", "other-protocol", "portal", "flood", "deny"],
      ] as [Exclude<LinkMode, "open">]);
      return { kind, place, mode };
    }
    case "cache":
      return { kind, place, what: dice.one(["killed", "killed", "stopped"]) };
    case "daemon":
      return { kind, what: dice.one(["killed", "killed", "killed", "terminated", "terminated", "stopped", "stopped", "wall-clock"]) };
    case "clock":
      if (dice.chance(0.2)) return { kind, what: "reboot", keeps: dice.one(["runtime directory", "nothing"]) };
      return { kind, what: "jump", seconds: dice.one([3, 10, 20, 40, 50, 70, 3600, 90_000]) };
    case "disk":
      return { kind, what: dice.one(["runtime", "state"]) };
    case "tailnet":
      return {
        kind,
        situation: dice.one<Exclude<Situation, "home">>([
          ...["foreign", "foreign", "foreign", "logged-out", "stopped", "client-gone", "client-hangs", "client-garbage", "client-denies"],
          ...[
            "untagged-a",
            "untagged-a",
            "taken-over-a",
            "untagged-b",
            "taken-over-a",
            "expired-b",
            "shared-c",
            "offline-a",
            "userspace",
            "lookalikes",
            "crowd",
            "hostile",
          ],
        ] as [Exclude<Situation, "home">]),
      };
    case "published":
      return { kind, what: dice.one(["deleted", "deleted", "truncated", "garbage", "unknown-key", "doubled-key", "other-boot", "future"]) };
    case "runtime":
      return { kind, what: dice.one(["removed", "removed", "socket-removed", "open-to-others"]) };
    case "config":
      return { kind, what: dice.one(["broken", "operator", "operator"]) };
  }
}

/** A fault in a few words, for people. */
export function faultText(fault: Fault): string {
  switch (fault.kind) {
    case "link":
      return `link ${fault.place} ${fault.mode}`;
    case "cache":
      return `cache ${fault.place} ${fault.what}`;
    case "clock":
      return fault.what === "jump" ? `clock +${fault.seconds} s` : `reboot, keeps ${fault.keeps}`;
    case "tailnet":
      return `tailnet ${fault.situation}`;
    case "disk":
      return `disk of the ${fault.what} directory full`;
    case "daemon":
    case "published":
    case "runtime":
    case "config":
      return `${fault.kind} ${fault.what}`;
  }
}
