/** Reads a file of Bazel's build events, however long. */
import { createReadStream } from "node:fs";
import { createInterface } from "node:readline";
import { BuildEventReader, type BuildEvents } from "../../contract/bazel/build-events.ts";

export async function readBuildEvents(file: string): Promise<BuildEvents> {
  const reader = new BuildEventReader();
  for await (const line of createInterface({ input: createReadStream(file), crlfDelay: Number.POSITIVE_INFINITY })) reader.add(line);
  return reader.result;
}
