import { inspect } from "node:util";
import { expect, test } from "vitest";
import { Secret } from "../../contract/secret.ts";

const secret = new Secret("planted");

test("tells itself only to whoever asks outright", () => {
  expect(secret.reveal()).toBe("planted");
  const ways = [
    String(secret),
    `${secret}`,
    JSON.stringify({ secret }),
    inspect({ secret }, { showHidden: true, depth: 9 }),
    inspect(Object.assign(new Error("x"), { secret })),
    Object.values(secret).join(),
    JSON.stringify(structuredClone(secret)),
  ];
  for (const way of ways) expect(way).not.toContain("planted");
});
