/** Many calls of the shim by one sh: a process a call would be most of what a long table costs. */
import { spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { expect } from "vitest";

export interface Answers {
  /** What the tool got in each call, or undefined where the slow path was asked (the house's guard stops, so sh exits 78). */
  readonly words: readonly (readonly string[] | undefined)[];
  readonly stderr: string;
}

/** A word as sh reads it back, whatever it holds. */
export function quoted(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}

/**
 * @param calls one command line of sh each; the tool behind the shim ends each of its words with a NUL (house.ts)
 * @param file where the script of all of them may be written
 */
export async function callAll(
  calls: readonly string[],
  { file, env, cwd }: { readonly file: string; readonly env: Readonly<Record<string, string>>; readonly cwd: string },
): Promise<Answers> {
  writeFileSync(file, calls.map((call) => `${call}\nprintf '%s\\0\\1' "=$?"\n`).join(""));
  const child = spawn("/bin/sh", [file], { env, cwd, stdio: ["ignore", "pipe", "pipe"] });
  const chunks: Buffer[] = [];
  let stderr = "";
  child.stdout.on("data", (chunk: Buffer) => chunks.push(chunk));
  child.stderr.setEncoding("utf8").on("data", (chunk: string) => {
    stderr += chunk;
  });
  await new Promise((resolve) => child.on("close", resolve));
  const words = Buffer.concat(chunks)
    .toString("utf8")
    .split("\u0001")
    .slice(0, -1)
    .map((answer) => {
      const parts = answer.split("\0").slice(0, -1);
      const code = parts.pop();
      if (code === "=78") return undefined;
      expect(code).toBe("=0");
      return parts;
    });
  return { words, stderr };
}
