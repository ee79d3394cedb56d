/**
 * Asks a resolver over UDP for the address of www.test, as often as told, each time from another port and once only:
 * questions.mjs ADDRESS COUNT INTERVAL_MS. Prints how many were answered within five seconds, the patience of most
 * resolver libraries.
 */
import { createSocket } from "node:dgram";

const PATIENCE_MS = 5_000;
const NAME = "\u0003www\u0004test\u0000";
/** One A record is asked for, recursively (RFC 1035 section 4.1). */
const FLAGS_AND_COUNTS = [0x01, 0x00, 0, 1, 0, 0, 0, 0, 0, 0];
const TYPE_AND_CLASS = [0, 1, 0, 1];

const [address = "", count = "1", intervalMs = "10"] = process.argv.slice(2);

function ask(id: number): Promise<boolean> {
  const socket = createSocket(address.includes(":") ? "udp6" : "udp4");
  const header = Buffer.from([id >> 8, id & 0xff, ...FLAGS_AND_COUNTS]);
  const question = Buffer.concat([header, Buffer.from(NAME, "latin1"), Buffer.from(TYPE_AND_CLASS)]);
  return new Promise((resolve) => {
    const end = (isAnswered: boolean): void => {
      clearTimeout(timeout);
      socket.close();
      resolve(isAnswered);
    };
    const timeout = setTimeout(() => end(false), PATIENCE_MS);
    socket.on("error", () => end(false));
    socket.on("message", (answer) => {
      const isAnswer =
        answer.readUInt16BE(0) === id && (answer.readUInt8(3) & 0xf) === 0 && answer.readUInt16BE(6) > 0;
      if (isAnswer) end(true);
    });
    socket.connect(53, address, () => socket.send(question));
  });
}

const answers: Promise<boolean>[] = [];
for (let id = 1; id <= Number(count); id++) {
  answers.push(ask(id));
  await new Promise((resolve) => {
    setTimeout(resolve, Number(intervalMs));
  });
}
const answered = (await Promise.all(answers)).filter(Boolean).length;
console.log(`${answered} of ${count}`);
