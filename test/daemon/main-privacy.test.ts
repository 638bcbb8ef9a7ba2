/** Who may ask the daemon: each layer that keeps another user out, tried as another user with the layers before it taken away. */
import { execFile } from "node:child_process";
import { chmodSync } from "node:fs";
import { promisify } from "node:util";
import { afterEach, beforeEach, expect, test } from "vitest";
import { socketPath } from "../../contract/paths.ts";
import { type Home, makeHome } from "./home.ts";

const run = promisify(execFile);
const nobody = 65_534;

let home: Home;
beforeEach(() => {
  home = makeHome();
});
afterEach(() => home[Symbol.asyncDispose]());

/** Asks for the status as another user: the system's error, or HTTP's status and what was said. */
async function askAsNobody(): Promise<string> {
  const script = `
    require("node:http")
      .request({ socketPath: process.argv[1], path: "/v1/status", agent: false }, (answer) => {
        let text = "";
        answer.setEncoding("utf8").on("data", (chunk) => { text += chunk; }).on("end", () => console.log(answer.statusCode, text.trim()));
      })
      .on("error", (error) => console.log(error.code))
      .end();`;
  const asked = await run(process.execPath, ["-e", script, socketPath(home.paths)], { uid: nobody, gid: nobody, cwd: "/", env: {} });
  return asked.stdout.trim();
}

test.runIf(process.getuid?.() === 0)("another user is kept out by the directory, by the socket, and by the daemon itself", async () => {
  chmodSync(home.dir, 0o755);
  const { runtime } = home.paths;
  const socket = socketPath(home.paths);
  await home.started();

  expect(await askAsNobody()).toBe("EACCES");
  // Without the directory's 0700 there is still the socket's 0600.
  chmodSync(runtime, 0o755);
  expect(await askAsNobody()).toBe("EACCES");
  // Without both, and no way to ask the kernel who is there, nobody at all is answered.
  chmodSync(socket, 0o666);
  expect(await askAsNobody()).toMatch(/^403 \{"error":\{"code":"usage","message":"the runtime directory is not safe: .*mode 0755/);
  await expect(home.client.status("default")).rejects.toMatchObject({ code: "runtime-directory-unsafe", next: `chmod 700 ${runtime}` });

  chmodSync(runtime, 0o700);
  expect(await askAsNobody()).toBe("EACCES");
  await expect(home.client.status("default")).rejects.toThrow(/daemon\.sock is open to other users/);
  chmodSync(socket, 0o600);
  expect(await home.client.status("default")).toMatchObject({ profile: "default" });
});
