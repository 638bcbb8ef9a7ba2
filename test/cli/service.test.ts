/** `flywheel service` where no manager answers, and the text that it writes for each of them. */
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Check, DoctorReport } from "../../cli/doctor/report.ts";
import { type Installation, installation } from "../../cli/service/install.ts";
import { agent, label } from "../../cli/service/launchd.ts";
import { managerOf } from "../../cli/service/manager.ts";
import { judge, marked } from "../../cli/service/mark.ts";
import { serviceUnit, socketUnit } from "../../cli/service/systemd.ts";
import { type Home, makeHome } from "./flywheel.ts";

let home: Home;
beforeEach(() => {
  home = makeHome();
});
afterEach(() => home.remove());

/** No manager of systemd's is to be found here, whatever machine the tests run on. */
const alone = { XDG_RUNTIME_DIR: "/nonexistent", DBUS_SESSION_BUS_ADDRESS: "unix:path=/nonexistent/bus" };
const service = (args: readonly string[], env: Readonly<Record<string, string>> = {}) =>
  home.flywheel(["service", ...args], { env: { ...alone, ...env } });
const unit = (name: string): string => join(home.dir, ".config/systemd/user", name);

test.runIf(process.platform === "linux")(
  "no systemd answers: the units are written, and what to type is said; again is nothing; uninstall leaves nothing",
  async () => {
    const installed = await service(["install", "--yes"]);
    expect(installed.exitCode, installed.stderr).toBe(0);
    expect(installed.stderr).toContain("systemd does not answer here, so type yourself:\n  systemctl --user daemon-reload\n");
    expect(installed.stderr).toContain("  systemctl --user restart gloriousflywheel.socket\n");
    expect(readFileSync(unit("gloriousflywheel.socket"), "utf8")).toContain(`\nListenStream=${home.runtime}/daemon.sock\n`);
    expect(readFileSync(unit("gloriousflywheel.service"), "utf8")).toContain(`\nEnvironment=GF_STATE_DIR=${home.state}\n`);
    expect(statSync(unit("gloriousflywheel.service")).mode & 0o111).toBe(0);
    expect((await service(["install", "--yes"])).stdout).toBe("nothing to change\n");
    const status = await service(["status"]);
    expect(status).toMatchObject({
      exitCode: 1,
      stdout: expect.stringMatching(/systemd does not answer here: \S.*\n {2}next {3}flywheel up/),
    });
    mkdirSync(unit("sockets.target.wants"));
    symlinkSync(unit("gloriousflywheel.socket"), unit("sockets.target.wants/gloriousflywheel.socket"));
    const removed = await service(["uninstall", "--yes"]);
    expect(removed.exitCode, removed.stderr).toBe(0);
    expect(existsSync(unit("gloriousflywheel.socket"))).toBe(false);
    expect(existsSync(unit("gloriousflywheel.service"))).toBe(false);
    expect(readdirSync(unit("sockets.target.wants"))).toEqual([]);
    expect(removed.stderr).toMatch(/type yourself:\n {2}systemctl --user stop .*\n {2}systemctl --user daemon-reload\n$/);
    expect(await service(["uninstall", "--yes"])).toEqual({ exitCode: 0, stdout: "nothing to change\n", stderr: "" });
    expect(JSON.parse((await service(["uninstall", "--yes", "--json"])).stdout)).toMatchObject({ changed: false, files: [], next: [] });
  },
);

test.runIf(process.platform === "linux")(
  "nothing is written unasked: no terminal and no --yes is refused, --dry-run only shows",
  async () => {
    const asked = await service(["install"]);
    expect(asked).toMatchObject({ exitCode: 2, stdout: "" });
    expect(asked.stderr).toContain("next: repeat it with --yes");
    const dry = await service(["install", "--dry-run"]);
    expect(dry).toMatchObject({ exitCode: 0, stdout: expect.stringContaining("+SocketMode=0600\n") });
    expect(dry.stdout).toContain("run  systemctl --user enable gloriousflywheel.socket\n");
    const json = JSON.parse((await service(["install", "--dry-run", "--json"])).stdout);
    expect(json).toMatchObject({ schema: 1, manager: "systemd", changed: false, files: [{ file: unit("gloriousflywheel.socket") }, {}] });
    expect(existsSync(unit(""))).toBe(false);
  },
);

test.runIf(process.platform === "linux")("what somebody else wrote, edited or linked is left alone, and said", async () => {
  const file = home.write(".config/systemd/user/gloriousflywheel.service", "[Service]\nExecStart=/bin/true\n");
  for (const action of ["install", "uninstall"]) {
    expect(await service([action, "--yes"])).toMatchObject({ exitCode: 1, stderr: expect.stringContaining(`${file} was not written by`) });
  }
  expect(readFileSync(file, "utf8")).toBe("[Service]\nExecStart=/bin/true\n");
  const status = await service(["status"]);
  expect(status.stdout).toContain("not written by flywheel service install");
  expect(status.stdout).toContain(`next   move ${file} away, then flywheel service install\n`);
  home.remove();
  home = makeHome();
  await service(["install", "--yes"]);
  const own = unit("gloriousflywheel.service");
  writeFileSync(own, `${readFileSync(own, "utf8")}# mine\n`);
  expect(await service(["uninstall", "--yes"])).toMatchObject({ exitCode: 1, stderr: expect.stringContaining("was edited since") });
  expect(existsSync(unit("gloriousflywheel.socket"))).toBe(true);
  home.remove();
  home = makeHome();
  const elsewhere = home.write("store/gloriousflywheel.socket", "[Socket]\n");
  home.write(".config/systemd/user/other", "");
  symlinkSync(elsewhere, unit("gloriousflywheel.socket"));
  expect(await service(["install", "--yes"])).toMatchObject({ exitCode: 1, stderr: expect.stringContaining("was not written by") });
  expect(readFileSync(elsewhere, "utf8")).toBe("[Socket]\n");
});

test.runIf(process.platform === "linux")("directories that no unit can hold are refused before anything is written", async () => {
  const broken = await service(["install", "--yes"], { GF_STATE_DIR: `${home.dir}/a\nExecStartPre=/bin/x` });
  expect(broken).toMatchObject({ exitCode: 2, stderr: expect.stringContaining("GF_STATE_DIR holds a character that no unit can hold") });
  const long = await service(["install", "--yes"], { GF_RUNTIME_DIR: `/tmp/${"x".repeat(100)}` });
  expect(long).toMatchObject({ exitCode: 2, stderr: expect.stringContaining("the path is too long (103 bytes)") });
  expect(existsSync(unit(""))).toBe(false);
});

test.runIf(process.platform === "linux")("doctor: absent, as installed, another flywheel's, edited, and its program gone", async () => {
  const checks = async (env: Readonly<Record<string, string>> = {}): Promise<readonly Check[]> => {
    const report: DoctorReport = JSON.parse((await home.flywheel(["doctor", "--json"], { env: { ...alone, ...env } })).stdout);
    return report.checks.filter(({ group }) => group === "service");
  };
  expect(await checks()).toMatchObject([{ state: "ok", what: expect.stringContaining("not installed") }]);
  await service(["install", "--yes"]);
  expect(await checks()).toMatchObject([{ state: "ok", what: "installed, as this flywheel writes it" }]);
  expect(await checks({ GF_STATE_DIR: `${home.dir}/other` })).toMatchObject([
    { state: "warn", what: expect.stringContaining("another flywheel"), next: "flywheel service install" },
  ]);
  const file = unit("gloriousflywheel.service");
  writeFileSync(file, readFileSync(file, "utf8").replace(/^ExecStart=\S+/m, 'ExecStart="/not there/node"'));
  expect(await checks()).toMatchObject([
    { state: "fail", id: "service-program", what: expect.stringContaining("/not there/node") },
    { state: "warn", what: expect.stringContaining("was edited since") },
  ]);
});

const example: Installation = {
  command: ["/opt/node", "/opt/fly wheel/flywheeld.js", "run"],
  environment: { GF_RUNTIME_DIR: "/run/user/1000/gloriousflywheel", GF_STATE_DIR: "/home/a%b" },
  socket: "/run/user/1000/gloriousflywheel/daemon.sock",
  xdgRuntime: "/run/user/1000",
};

test("systemd: below XDG_RUNTIME_DIR the runtime directory is its own %t, elsewhere it is named", () => {
  expect(socketUnit(example)).toContain("\nListenStream=%t/gloriousflywheel/daemon.sock\n");
  expect(serviceUnit(example)).toContain("\nEnvironment=GF_RUNTIME_DIR=%t/gloriousflywheel\n");
  expect(serviceUnit(example)).toContain("\nEnvironment=GF_STATE_DIR=/home/a%%b\n");
  expect(serviceUnit(example)).toContain('\nExecStart=/opt/node "/opt/fly wheel/flywheeld.js" run\n');
  const elsewhere = { ...example, xdgRuntime: undefined, socket: "/srv/100% mine/daemon.sock" };
  expect(socketUnit(elsewhere)).toContain("\nListenStream=/srv/100%% mine/daemon.sock\n");
  const paths = { config: "/c", state: "/s", runtime: "/run/user/10009/x" };
  expect(installation(paths, { XDG_RUNTIME_DIR: "/run/user/1000" }).xdgRuntime).toBeUndefined();
  expect(() => serviceUnit({ ...example, command: ['/opt/"node"', "x"] })).toThrow(/no program with a quote/);
});

/** Reads XML strictly enough for a property list: every element closed in order, only the five entities. */
function plist(text: string): unknown {
  const body = text.replace(/^<\?xml .*\?>\n<!-- .* -->\n<!DOCTYPE .*>\n/, "");
  const tokens = [...body.matchAll(/<(\/?)([a-z]+)(?: version="1\.0")?(\/?)>|([^<>]+)/g)];
  expect(tokens.map(([all]) => all).join("")).toBe(body);
  let at = 0;
  const content = (): string => {
    const [, , , , words] = tokens[at] ?? [];
    if (words === undefined) return "";
    at += 1;
    expect(words).not.toMatch(/&(?!amp;|lt;|gt;)/);
    return words.replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&amp;", "&");
  };
  const space = (): void => {
    while (tokens[at]?.[4]?.trim() === "") at += 1;
  };
  const close = (name: string): void => {
    expect([tokens[at]?.[1], tokens[at]?.[2]]).toEqual(["/", name]);
    at += 1;
  };
  const value = (): unknown => {
    const [, , name, empty] = tokens[at] ?? [];
    at += 1;
    if (empty === "/") return name === "true";
    if (name === "string" || name === "key" || name === "integer") {
      const read = content();
      close(name);
      return name === "integer" ? Number(read) : read;
    }
    const items: unknown[] = [];
    for (space(); tokens[at]?.[1] !== "/"; space()) items.push(value());
    close(name ?? "");
    if (name === "plist") return items[0];
    if (name !== "dict") return items;
    return Object.fromEntries(items.flatMap((item, index) => (index % 2 === 0 ? [[item, items[index + 1]]] : [])));
  };
  return value();
}

test("launchd: the agent is a property list that says what is meant, whatever the paths are", () => {
  const text = fc.string({ unit: fc.constantFrom(..."a é%$&<>\"'\\;-/") }).map((name) => `/${name}`);
  fc.assert(
    fc.property(text, text, (program, state) => {
      const written = marked(agent({ ...example, command: [program, "run"], environment: { GF_STATE_DIR: state } }), "xml");
      expect(plist(written)).toEqual({
        Label: label,
        ProgramArguments: [program, "run"],
        EnvironmentVariables: { GF_STATE_DIR: state },
        RunAtLoad: true,
        KeepAlive: { SuccessfulExit: false },
        ProcessType: "Background",
        Umask: 0o077,
        WorkingDirectory: "/",
      });
    }),
  );
});

test("launchd: where the agent lies, and what is said to launchctl", () => {
  const place = { env: { HOME: "/Users/a" }, home: "/", platform: "darwin", uid: 501 } as const;
  const { files, start, stop } = managerOf(place, example);
  const file = `/Users/a/Library/LaunchAgents/${label}.plist`;
  expect(files.map((one) => one.file)).toEqual([file]);
  expect(start).toEqual([["launchctl", "bootstrap", "gui/501", file]]);
  expect(stop).toEqual([["launchctl", "bootout", `gui/501/${label}`]]);
  expect(() => managerOf({ ...place, platform: "win32" }, example)).toThrow(expect.objectContaining({ code: "usage" }));
});

test("a file is known again by its mark: current, outdated, edited or somebody else's", () => {
  for (const syntax of ["systemd", "xml"] as const) {
    const now = marked("[Unit]\nA=1\n", syntax);
    const then = marked("[Unit]\nA=0\n", syntax);
    expect(judge(undefined, now)).toBe("absent");
    expect(judge(now, now)).toBe("current");
    expect(judge(then, now)).toBe("outdated");
    expect(judge(`${then}B=1\n`, now)).toBe("edited");
    expect(judge(`# mine\n${then}`, now)).toBe("edited");
    expect(judge("[Unit]\nA=1\n", now)).toBe("foreign");
    expect(judge("", now)).toBe("foreign");
  }
});
