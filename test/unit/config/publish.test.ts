import { expect, test } from "@jest/globals";
import { parseArguments } from "../../../src/config/command-line.ts";
import { PORT_RULE_OPTIONS, portRules } from "../../../src/config/port-options.ts";
import { printPortRule, portOption } from "../../../src/config/port-spec.ts";

const EPHEMERAL = { first: 32_768, last: 60_999 };

/** The rules of words, each as its option and specification. */
const rules = (...words: string[]): string[] =>
  portRules(parseArguments(words, PORT_RULE_OPTIONS), EPHEMERAL).map(
    (rule) => `${portOption(rule)} ${printPortRule(rule)}`,
  );

test.each([
  ["8080:80", "-t 8080:80"],
  ["8080:80/tcp", "-t 8080:80"],
  ["127.0.0.1:5300:53/udp", "-u 127.0.0.1/5300:53"],
  ["0.0.0.0:8080:80/TCP", "-t 0.0.0.0/8080:80"],
  ["[::1]:8080:80", "-t [::1]/8080:80"],
  ["[2001:db8::7]:9000-9002:9100-9102/udp", "-u [2001:db8::7]/9000-9002:9100-9102"],
  [":8080:80", "-t 8080:80"],
  ["443:443", "-t 443"],
])("--publish %s is %s", (text, spec) => {
  expect(rules("-p", text)).toEqual([spec]);
});

test("published ports stand beside others, each with those of its protocol", () => {
  expect(rules("-p", "53:53/udp", "-t", "90", "--publish=8080:80", "-u", "91")).toEqual([
    "-t 90",
    "-t 8080:80",
    "-u 91",
    "-u 53",
  ]);
});

test.each([
  ["80", "write the host's port and the container's"],
  ["", "write the host's port and the container's"],
  ["a:b", "write the host's port and the container's"],
  ["[::1:8080:80", "write the host's port and the container's"],
  ["::1:8080:80", "write the host's port and the container's"],
  ["8080:80/tcp/udp", "write the host's port and the container's"],
  [":80", "name the port of the host too"],
  ["127.0.0.1::80", "name the port of the host too"],
  ["8080:80/sctp", "only tcp and udp can be forwarded"],
  ["8080:80/constructor", "only tcp and udp can be forwarded"],
])("--publish %j is refused: %s", (text, why) => {
  expect(() => rules(`--publish=${text}`)).toThrow(`--publish ${text}: ${why}`);
});

test.each(["70000:80", "8080-8081:80", "256.0.0.1:8080:80", "[]:80:80"])(
  "--publish %s has the error of a specification",
  (text) => {
    expect(() => rules(`--publish=${text}`)).toThrow(/^cannot read -t: .*\n.*\n *\^/);
  },
);
