/** How often Nix is asked: real clients of a real nix-daemon, counted by it. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { cannotRun, makeNixMachine, type NixMachine } from "./machine.ts";

const key = `main:${"A".repeat(43)}=`;
const url = "http://127.0.0.1:1/main";
let machine: NixMachine;

describe.skipIf(cannotRun)("a verdict", () => {
  beforeAll(async () => {
    machine = await makeNixMachine([`trusted-substituters = ${url}`, `trusted-public-keys = ${key}`]);
  });
  afterAll(() => machine?.[Symbol.asyncDispose]());

  test("is asked for once, and remembered; nothing listens where the cache is said to be", async () => {
    await machine.verdict({ url, key });
    const before = machine.connections();
    expect(await machine.verdict({ url, key, times: 20 })).toMatchObject({ ok: true, honoured: { trustedUser: false } });
    expect(machine.connections() - before).toBe(1);
  });

  test("of a no is remembered too", async () => {
    const before = machine.connections();
    expect(await machine.verdict({ url: `${url}/other`, key, times: 20 })).toMatchObject({ ok: false });
    expect(machine.connections() - before).toBe(1);
  });

  test("is that Nix does not answer where its daemon died and left its socket", async () => {
    await machine.killDaemon();
    expect(await machine.verdict({ url, key })).toMatchObject({
      ok: false,
      ignored: {
        reason: expect.stringMatching(/^the Nix daemon does not answer this user: cannot connect to socket at .*Connection refused/),
      },
    });
    await machine.restart();
  });

  test("is that Nix does not answer where it does not allow this user, in its own words", async () => {
    machine.configure(["allowed-users = root"]);
    await machine.restart();
    expect(await machine.verdict({ url, key })).toMatchObject({
      ok: false,
      ignored: { reason: expect.stringMatching(/^the Nix daemon does not answer this user: /) },
    });
  });
});
