/** The netrc that Nix would read without us: each time compared with what a real Nix says that its netrc-file is. */
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { userConfFiles } from "../../../contract/nix/user-conf.ts";
import { ownNetrc } from "../../../daemon/nix/netrc.ts";
import { nixPlace } from "../../../daemon/nix/place.ts";
import { peersRequired, programOnPath } from "../../fixtures/peers.ts";

const nix = programOnPath("nix");
if (!nix.available && peersRequired()) throw new Error(nix.reason);

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "gf-on-"));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

function write(name: string, text: string): void {
  const file = join(dir, name);
  mkdirSync(join(file, ".."), { recursive: true });
  writeFileSync(file, text);
}

/** A file that names a netrc, whose text is the same word. */
function naming(name: string, netrc: string): void {
  write(netrc, netrc);
  write(name, `netrc-file = ${join(dir, netrc)}\n`);
}

describe.skipIf(!nix.available)("is the one of", () => {
  /** By Nix's own word, and by ours: the netrc's path below the directory, and the text that was read. */
  function told(env: Readonly<Record<string, string>>): { readonly nix: string; readonly ours: unknown } {
    const own = { HOME: join(dir, "home"), XDG_CONFIG_DIRS: join(dir, "xdg"), NIX_CONF_DIR: join(dir, "etc"), ...env };
    const config = execFileSync(nix.available ? nix.path : "", ["--extra-experimental-features", "nix-command", "show-config"], {
      cwd: dir,
      env: { ...own, PATH: "/usr/bin:/bin", NIX_STATE_DIR: join(dir, "var"), NIX_STORE_DIR: join(dir, "store") },
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    });
    const file = /^netrc-file = (.*)$/m.exec(config)?.[1] ?? "";
    return { nix: file.replace(`${dir}/`, ""), ours: ownNetrc(nixPlace(own), userConfFiles(own, dir)) };
  }
  const agrees = (env: Readonly<Record<string, string>>, netrc: string, text: string = netrc): void =>
    expect(told(env)).toEqual({ nix: netrc, ours: { state: "read", text } });

  test("the system, where nobody says otherwise", () => {
    agrees({}, "etc/netrc", "");
    naming("etc/nix.conf", "of-the-system");
    agrees({}, "of-the-system");
  });

  test("the user's nix.conf, which stands above the system's, and what it includes", () => {
    naming("etc/nix.conf", "of-the-system");
    naming("home/.config/nix/nix.conf", "of-the-user");
    agrees({}, "of-the-user");
    naming("home/.config/nix/more/netrc.conf", "included");
    write("home/.config/nix/nix.conf", "include more/netrc.conf # the token's\n!include absent.conf\n");
    agrees({}, "included");
    naming("elsewhere/nix/nix.conf", "by-xdg");
    agrees({ XDG_CONFIG_HOME: join(dir, "elsewhere") }, "by-xdg");
  });

  test("XDG_CONFIG_DIRS, the first before the next, and each behind the user's", () => {
    naming("xdg/nix/nix.conf", "of-the-first");
    naming("xdg2/nix/nix.conf", "of-the-second");
    agrees({ XDG_CONFIG_DIRS: `${dir}/xdg2:${dir}/xdg` }, "of-the-second");
    naming("home/.config/nix/nix.conf", "of-the-user");
    agrees({}, "of-the-user");
  });

  test("NIX_USER_CONF_FILES, which stands for all of the user's, the first of it before the next", () => {
    naming("home/.config/nix/nix.conf", "of-the-user");
    naming("a.conf", "of-a");
    naming("b.conf", "of-b");
    agrees({ NIX_USER_CONF_FILES: `${dir}/a.conf:${dir}/b.conf` }, "of-a");
    agrees({ NIX_USER_CONF_FILES: `${dir}/absent.conf::b.conf` }, "of-b");
    agrees({ NIX_USER_CONF_FILES: "" }, "etc/netrc", "");
  });
});

test("a list without an end is cut off at its weakest, and no path is longer than any can be", () => {
  const names = Array.from({ length: 40 }, (_, index) => `/c/${index}`);
  expect(userConfFiles({ NIX_USER_CONF_FILES: [`/${"x".repeat(5000)}`, ...names].join(":") }, "/")).toEqual(names.slice(0, 32));
});
