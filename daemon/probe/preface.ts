/** Whether whoever accepted a connection speaks HTTP/2: gRPC's own errors do not tell a silent server from a wrong one. */
import type { Socket } from "node:net";
import { addAbortSignal } from "node:stream";

/** The client's connection preface and an empty SETTINGS frame (RFC 9113, 3.4 and 6.5). */
const preface = Buffer.concat([Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "latin1"), Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0])]);
const frameHeader = 9;

export type Greeting = "http2" | "http1" | "tls" | "closed" | "other";

/**
 * Says hello in HTTP/2, reads the first nine bytes of the answer, and closes the socket.
 * @throws the socket's error, or an AbortError
 */
export async function greet(socket: Socket, signal: AbortSignal): Promise<Greeting> {
  addAbortSignal(signal, socket);
  socket.write(preface);
  let answer = Buffer.alloc(0);
  for await (const chunk of socket as AsyncIterable<Buffer>) {
    answer = Buffer.concat([answer, chunk]);
    if (answer.length >= frameHeader) break;
  }
  return read(answer);
}

function read(answer: Buffer): Greeting {
  if (answer.length === 0) return "closed";
  if (/^HTTP\/[01]\./.test(answer.toString("latin1", 0, frameHeader))) return "http1";
  // A TLS alert record (RFC 8446, 5.1).
  if (answer[0] === 0x15 && answer[1] === 3) return "tls";
  // The server's preface is a SETTINGS frame (type 4) on stream 0, no ACK (RFC 9113, 3.4).
  const settings = answer.length >= frameHeader && answer[3] === 4 && (answer[4] ?? 1) % 2 === 0 && answer.readUInt32BE(5) === 0;
  return settings ? "http2" : "other";
}
