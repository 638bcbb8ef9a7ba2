/** Lines as Nix 2.8 logs them with `--log-format internal-json`. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { NixLog } from "../../../contract/nix/activities.ts";

const cache = "http://100.64.0.9:8080/main";
const log = (buildLogs: "hidden" | "plain" | "named" = "hidden", verbosity = 3, endpoint: string | undefined = cache): NixLog =>
  new NixLog({ endpoint: () => endpoint, buildLogs, verbosity });
const nix = (value: object): string => `@nix ${JSON.stringify(value)}`;
const path = "/nix/store/iqxsw7lqcxnljjglar4c0p029q2qavwk-one";
const derivation = "/nix/store/8qv52paarqdbxhf2snhrdwz5iwkvk1hz-two.drv";
const substitute = (from: string, of = path): string => nix({ action: "start", fields: [of, from], id: 1, level: 0, text: "", type: 108 });
/** One worker's substitutions so far, as Nix tells them: done, expected, running, failed. */
const came = (count: number): readonly string[] => [
  nix({ action: "start", id: 9, level: 0, text: "", type: 103 }),
  nix({ action: "result", fields: [count, 3, 0, 0], id: 9, type: 105 }),
];
const build = (machine = ""): string =>
  nix({ action: "start", fields: [derivation, machine, 1, 1], id: 2, level: 3, text: `building '${derivation}'`, type: 105 });

test("paths by the cache that gave them, each once; builds by where", () => {
  const each = log();
  for (const line of [
    substitute(cache),
    substitute(`${cache}/?priority=10`),
    substitute("https://cache.nixos.org", `${path}-more`),
    ...came(2),
  ])
    each.add(line);
  each.add(build());
  // Progress has the number of a build, but is no start of one.
  each.add(nix({ action: "result", fields: [0, 2, 0, 0], id: 3, type: 105 }));
  expect(each.counts).toEqual({ hits: 1, other: 1, misses: 1, local: 1, internal: 0 });
  each.add(build("ssh-ng://builder"));
  expect(each.counts).toMatchObject({ misses: 1, local: 0 });
});

test("where no cache was attached, nothing is its hit", () => {
  const each = new NixLog({ endpoint: () => undefined, buildLogs: "hidden" });
  for (const line of [substitute(cache), ...came(1)]) each.add(line);
  expect(each.counts).toMatchObject({ hits: 0, other: 1 });
});

test("a path that did not come is no hit: its activity ends as that of any other, and its error names neither it nor the cache", () => {
  const stop = nix({ action: "stop", id: 1 });
  const error = nix({ action: "msg", level: 0, msg: "error: bad archive: input doesn't look like a Nix archive" });
  const [worker = "", none = ""] = came(0);
  const fallen = log();
  for (const line of [worker, substitute(cache), stop, error, none, build()]) fallen.add(line);
  expect(fallen.counts).toEqual({ hits: 0, other: 0, misses: 1, local: 1, internal: 0 });
  expect(fallen.doubt).toBeNull();

  const elsewhere = log();
  for (const line of [substitute(cache), stop, error, substitute("https://cache.nixos.org"), stop, ...came(1)]) elsewhere.add(line);
  expect(elsewhere.counts).toMatchObject({ hits: 0, other: 1, misses: 0 });
  expect(elsewhere.doubt).toBeNull();

  const mixed = log();
  for (const line of [substitute(cache), substitute("https://cache.nixos.org", `${path}-more`), error, ...came(1)]) mixed.add(line);
  expect(mixed.counts).toMatchObject({ hits: 0, other: 1 });
  expect(mixed.doubt).toBe("1 path could not be fetched, and Nix does not say from which cache");
});

test("shows what raw logs show: messages and activities of its verbosity, builders' lines where asked", () => {
  const each = log();
  expect(each.add(nix({ action: "msg", level: 3, msg: "this path will be fetched:" }))).toBe("this path will be fetched:");
  expect(each.add(nix({ action: "msg", level: 4, msg: "talkative" }))).toBeUndefined();
  expect(log("hidden", 4).add(nix({ action: "msg", level: 4, msg: "talkative" }))).toBe("talkative");
  expect(each.add(build())).toBe(`building '${derivation}'...`);
  expect(each.add(substitute(cache))).toBeUndefined();
  const line = nix({ action: "result", fields: ["hello"], id: 2, type: 101 });
  expect(each.add(line)).toBeUndefined();
  for (const [shown, as] of [
    ["plain", "hello"],
    ["named", "two> hello"],
  ] as const) {
    const one = log(shown);
    one.add(build());
    expect(one.add(line)).toBe(as);
  }
  expect(each.add("error: builder failed")).toBe("error: builder failed");
});

test("of what builders print, colours reach the terminal, and nothing else that it would act on", () => {
  const told =
    "\u001b[1;31mred\u001b[0m\t\u001b]52;c;aGk=\u0007\u001b[2J\u001bc\u001b]0;title\u001b\\\u009b2J\u001bPq\u001b\\\u001b(Bplain\r\u0008\u001b[?1049h";
  const kept = "\u001b[1;31mred\u001b[0m\tplain";
  const line = nix({ action: "result", fields: [told], id: 2, type: 101 });
  expect(log("plain").add(line)).toBe(kept);
  const named = log("named");
  named.add(build());
  expect(named.add(line)).toBe(`two> ${kept}`);
  const hidden = log();
  for (const each of [build(), line]) hidden.add(each);
  const failed = hidden.add(nix({ action: "msg", level: 0, msg: `error: builder for '${derivation}' failed\n  \u001b[2Jhere` }));
  expect(failed?.split("\n")).toEqual([
    ...[`error: builder for '${derivation}' failed`, "  here;"],
    ...["       last 1 log lines:", `       > ${kept}`],
  ]);
});

test("an error tells what the builder said last, which nobody has seen yet", () => {
  const each = log();
  each.add(build());
  for (let count = 1; count <= 12; count += 1) each.add(nix({ action: "result", fields: [`line ${count}`], id: 2, type: 101 }));
  each.add(nix({ action: "stop", id: 2 }));
  const error = nix({
    action: "msg",
    level: 0,
    msg: `\u001b[31;1merror:\u001b[0m builder for '\u001b[35;1m${derivation}\u001b[0m' failed with exit code 4`,
  });
  const shown = each.add(error)?.split("\n") ?? [];
  expect(shown[0]).toMatch(/failed with exit code 4;$/);
  expect(shown.slice(1, 3)).toEqual(["       last 10 log lines:", "       > line 3"]);
  expect(shown.at(-1)).toBe("       > line 12");
  // Once is enough.
  expect(each.add(error)).not.toContain("line 12");
});

test("no line throws", () => {
  fc.assert(fc.property(fc.oneof(fc.string(), fc.json()), (text) => void log("named").add(`@nix ${text}`)));
});
