/** The records of an output base on a real file system: logs held from birth, bounded, and nothing but the user's own files read. */
import { execFileSync, spawn } from "node:child_process";
import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readlinkSync,
  realpathSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, onTestFinished, test, vi } from "vitest";
import { OutputBase } from "../../../daemon/running/output-base.ts";
import { likelyOutputBases, namedOutputBase, rootOf, servedOutputBases } from "../../../daemon/running/workspace.ts";

let root: string;
let births: number;
let base: OutputBase;

beforeEach(() => {
  root = realpathSync(mkdtempSync(join(tmpdir(), "gf-base-")));
  births = 0;
  const opened = OutputBase.at(root, () => {
    births += 1;
  });
  if (opened === undefined) throw new Error("it was not opened");
  base = opened;
});
afterEach(() => {
  base.close();
  rmSync(root, { recursive: true, force: true });
});

const file = (): string => join(root, "command.log");
/** As Bazel does for each command. */
function print(text: string): void {
  rmSync(file(), { force: true });
  writeFileSync(file(), text);
}
const texts = (): readonly (string | undefined)[] => base.logs.map((log) => base.read(log)?.text);
const descriptors = (): number =>
  readdirSync("/proc/self/fd").filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).startsWith(root);
    } catch {
      return false;
    }
  }).length;

test("a log is held from its birth: the next command takes nothing away", async () => {
  print("first");
  await vi.waitFor(() => expect(births).toBe(1));
  appendFileSync(file(), " and more");
  print("second");
  await vi.waitFor(() => expect(births).toBe(2));
  expect(texts()).toEqual(["first and more", "second"]);
  expect(base.look()).toBe(false);
});

test("no more than 32 are held, and none when it is closed", () => {
  for (let index = 0; index < 40; index += 1) {
    print(String(index));
    base.look();
  }
  expect(texts().at(-1)).toBe("39");
  expect(descriptors()).toBe(32);
  base.close();
  expect(descriptors()).toBe(0);
});

test.each([
  ["a FIFO", () => execFileSync("mkfifo", [file()])],
  ["a link", () => symlinkSync("/etc/hostname", file())],
  ["a directory", () => mkdirSync(file())],
])("%s in its place is neither read nor waited for", (_, lay) => {
  lay();
  expect(base.look()).toBe(false);
  expect(base.logs).toEqual([]);
  expect(descriptors()).toBe(0);
});

test("of a giant only the end is read", () => {
  print(`${"x".repeat(3_000_000)}the end`);
  base.look();
  expect(texts()[0]?.length).toBe(1_048_576);
  expect(texts()[0]?.endsWith("the end")).toBe(true);
});

test("a server's log is read in whatever time zone it is written, and over all of its files", () => {
  const at = Date.UTC(2026, 10, 21, 12, 0, 0);
  // Five and a half hours ahead of UTC.
  const line = (time: string, rest: string): string => `261121 ${time}:I 18 [a.b.${rest}\n`;
  const came = line("17:29:50.000", "GrpcServerImpl.executeCommand] [build, --startup_time=5, --client_env=A=b, --client_cwd=/w, //a]");
  const done = line("17:29:59.000", "CommandManager$RunningCommand.close] Finished command x");
  writeFileSync(join(root, "java.log.vm.me.log.java.20261121-172940.77"), came);
  writeFileSync(join(root, "java.log.vm.me.log.java.20261121-172955.77"), `${done}${line("17:30:00.000", "Other.x] y")}`);
  writeFileSync(join(root, "java.log.vm.me.log.java.20261120-172955.66"), came.replaceAll("261121", "261120"));
  for (const [name, when] of [
    ["20261121-172940.77", at - 10_000],
    ["20261121-172955.77", at],
    ["20261120-172955.66", at - 86_400_000],
  ] as const) {
    utimesSync(join(root, `java.log.vm.me.log.java.${name}`), when / 1000, when / 1000);
  }
  symlinkSync("/etc/hostname", join(root, "java.log.vm.me.log.java.20261122-000000.88"));
  const servers = base.servers(at - 20_000);
  expect(servers.find(({ server }) => server === "77")?.executions).toMatchObject([
    { command: "build", arrived: at - 10_000, began: at - 10_005, finished: at - 1_000, called: "/w, //a" },
  ]);
  expect(descriptors()).toBe(0);
});

test("an output base that is not there, or no directory, is none", () => {
  expect(OutputBase.at(join(root, "absent"), () => undefined)).toBeUndefined();
  writeFileSync(join(root, "plain"), "");
  expect(OutputBase.at(join(root, "plain"), () => undefined)).toBeUndefined();
});

test("a workspace's root, and where Bazel may keep its output", async () => {
  const workspace = join(root, "w");
  mkdirSync(join(workspace, "a/b"), { recursive: true });
  writeFileSync(join(workspace, "MODULE.bazel"), "");
  expect([rootOf(join(workspace, "a/b"), "bazel"), rootOf(workspace, "bazelisk"), rootOf("/", "bazel")]).toEqual([
    workspace,
    workspace,
    undefined,
  ]);
  expect(namedOutputBase(["--batch", "--output_base", "out"], workspace)).toBe(join(workspace, "out"));
  expect(namedOutputBase(["--output_base=/a", "--output_base=/b"], workspace)).toBe("/b");
  expect(namedOutputBase(["--batch"], workspace)).toBeUndefined();
  const hashed = join(root, execFileSync("md5sum", { input: workspace, encoding: "utf8" }).slice(0, 32));
  expect(likelyOutputBases(workspace, [`--output_user_root=${root}`])).toEqual([]);
  mkdirSync(hashed);
  mkdirSync(join(root, "base/execroot/_main/bazel-out"), { recursive: true });
  symlinkSync(join(root, "base/execroot/_main/bazel-out"), join(workspace, "bazel-out"));
  expect(likelyOutputBases(workspace, [`--output_user_root=${root}`])).toEqual([hashed, join(root, "base")]);
  // A server by its words, as any process may have them.
  const server = spawn("/bin/sh", ["-c", "read _", "bazel(w)", `--output_base=${hashed}`, `--workspace_directory=${workspace}`]);
  onTestFinished(() => void server.kill("SIGKILL"));
  await vi.waitFor(() => expect(servedOutputBases(workspace)).toEqual([hashed]));
  expect(servedOutputBases(join(workspace, "a"))).toEqual([]);
});
