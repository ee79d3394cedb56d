/** One line of text from a socket. */
import type { Socket } from "node:net";

/**
 * Everything up to the next end of line, which must be the last that the other side has said so far; undefined when it
 * closes instead. Rejects with what the socket meets, and with a RangeError when the line gets too long or late.
 * @param max characters
 */
export function readLine(socket: Socket, max: number, timeoutMs: number): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    let text = "";
    const timer = setTimeout(
      () => end(new RangeError(`nothing came within ${timeoutMs / 1000} s`)),
      timeoutMs,
    );
    const end = (error?: Error, line?: string): void => {
      clearTimeout(timer);
      socket.off("data", onData).off("error", end).off("close", closed).off("end", closed);
      socket.pause();
      if (error === undefined) resolve(line);
      else reject(error);
    };
    const closed = (): void => end();
    const onData = (chunk: string): void => {
      text += chunk;
      if (text.length > max) end(new RangeError(`it has over ${max} characters`));
      else if (chunk.includes("\n")) end(undefined, text.slice(0, text.indexOf("\n")));
    };
    socket.setEncoding("utf8").on("data", onData).on("error", end).on("close", closed).on("end", closed);
    socket.resume();
  });
}
