import { ProtocolError } from "./errors.ts";

/**
 * Cuts a stream of bytes into lines, without their newlines.
 * @param longest bytes that a line may have
 * @throws ProtocolError when a line is longer
 */
export async function* lines(chunks: AsyncIterable<Buffer>, longest: number): AsyncGenerator<string, void, undefined> {
  let parts: Buffer[] = [];
  let length = 0;
  for await (const chunk of chunks) {
    let from = 0;
    while (from < chunk.length) {
      const newline = chunk.indexOf(0x0a, from);
      const to = newline === -1 ? chunk.length : newline;
      length += to - from;
      if (length > longest) throw new ProtocolError(`a message of the Tailscale client is longer than ${longest} bytes`);
      parts.push(chunk.subarray(from, to));
      if (newline === -1) break;
      yield Buffer.concat(parts, length).toString("utf8");
      parts = [];
      length = 0;
      from = newline + 1;
    }
  }
}
