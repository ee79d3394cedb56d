import { expect, test } from "@jest/globals";
import { runScript, ScriptFailure } from "./runner.ts";

const run = (text: string): number => runScript("a.pkt", text, () => "");

const FLOW = "flow 192.0.2.10:49152 -> 198.51.100.2:80\n";
const SYN = "tap < S 0:0(0) win 64240 <mss 1460,nop,wscale 7>\n";
const CONNECT = "host connect(198.51.100.2:80)\n";
const SYN_ACK = "tap > S. 0:0(0) ack 1 win 65535 <mss 1460,wscale 7>\n";
const OPEN = `${FLOW}${SYN}${CONNECT}host writable\n${SYN_ACK}`;

test("a script that tells what happens passes", () => {
  expect(run(`${OPEN}state SYN-RECEIVED`)).toBe(6);
});

test("a call that no line expects fails at the line that caused it", () => {
  const expected = "a.pkt:2\n  expected: nothing\n  actual:   host connect(198.51.100.2:80) at 0 ms";
  expect(() => run(`${FLOW}${SYN}`)).toThrow(new ScriptFailure(expected));
});

test("a frame that no line expects fails", () => {
  expect(() => run(`${FLOW}${SYN}${CONNECT}host writable`)).toThrow(
    "actual:   tap > S. 0:0(0) ack 1 win 65535",
  );
});

test("a frame that does not come fails", () => {
  expect(() => run(`${OPEN}tap > . 1:1(0) ack 1`)).toThrow("a.pkt:6\n  expected: tap > . 1:1(0) ack 1\n");
});

test.each([
  ["flags", "F. 0:0(0) ack 1 win 65535 <mss 1460,wscale 7>"],
  ["sequence number", "S. 1:1(0) ack 1 win 65535 <mss 1460,wscale 7>"],
  ["acknowledgement", "S. 0:0(0) ack 2 win 65535 <mss 1460,wscale 7>"],
  ["window", "S. 0:0(0) ack 1 win 65534 <mss 1460,wscale 7>"],
  ["options", "S. 0:0(0) ack 1 win 65535 <mss 1460>"],
  ["kind", "udp 0"],
])("a frame with another %s fails", (_, packet) => {
  expect(() => run(`${FLOW}${SYN}${CONNECT}host writable\ntap > ${packet}`)).toThrow(ScriptFailure);
});

test("a frame with other bytes fails", () => {
  const text = `${OPEN}tap < . 1:1(0) ack 1 win 502\nhost readable 5 "hello"\n`;
  expect(() => run(`${text}tap > P. 1:6(5) ack 1 "hellu"`)).toThrow(ScriptFailure);
  expect(run(`${text}tap > P. 1:6(5) ack 1 "hello"`)).toBe(8);
});

test("a timer that fires at another time fails", () => {
  expect(run(`${OPEN}+200 ${SYN_ACK}`)).toBe(6);
  expect(() => run(`${OPEN}+300 ${SYN_ACK}`)).toThrow("already at 200 ms");
  expect(() => run(`${OPEN}+100 ${SYN_ACK}`)).toThrow("nothing until");
});

test("a drop that no line tells of fails", () => {
  const text = "tap < F 1:1(0)\ntap > R. 0:0(0) ack 2 win 0\n";
  expect(() => run(`${FLOW}${text}`)).toThrow("actual:   dropTcpNoFlow 1 at the end");
  expect(run(`${FLOW}${text}drop TcpNoFlow`)).toBe(4);
});

test("another state fails", () => {
  expect(() => run(`${OPEN}state ESTABLISHED`)).toThrow("actual:   state SYN-RECEIVED");
});

test("our initial sequence number can be chosen", () => {
  expect(run(`config our-isn 4294967295\n${OPEN}`)).toBe(6);
});

test("a line that cannot be read is named", () => {
  expect(() => run(`${FLOW}tap <`)).toThrow("a.pkt:2: not a packet: tap <");
  expect(() => run("nonsense")).toThrow('a.pkt:1: unknown kind of line "nonsense"');
});
