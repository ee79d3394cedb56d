import { expect, test } from "@jest/globals";
import { formatResolvConf, namesResolver, parseResolvConf } from "../../../src/config/resolv-conf.ts";

test("resolvers are read in order, without scope, once each, loopback ones included", () => {
  const text = `# comment
; comment
nameserver 127.0.0.53
  nameserver\tFE80::1%eth0
nameserver 192.0.2.1
nameserver 192.0.2.1
nameserver nonsense
nameserver
#nameserver 192.0.2.9
search a.example b.example
domain c.example
search d.example e.example
options ndots:2 timeout:1
options edns0
`;
  expect(parseResolvConf(text)).toEqual({
    nameservers: ["127.0.0.53", "fe80::1", "192.0.2.1"],
    search: ["d.example", "e.example"],
    options: ["ndots:2", "timeout:1", "edns0"],
  });
});

test("without a resolver the one on the same machine is asked, as by libc", () => {
  expect(parseResolvConf("").nameservers).toEqual(["127.0.0.1"]);
});

test("the file for a container has other resolvers and the same search list and options", () => {
  const host = parseResolvConf("nameserver 127.0.0.53\nsearch example\noptions ndots:2\n");
  expect(formatResolvConf(host, ["169.254.1.1"]).split("\n").slice(1)).toEqual([
    "nameserver 169.254.1.1",
    "search example",
    "options ndots:2",
    "",
  ]);
  expect(parseResolvConf(formatResolvConf(parseResolvConf(""), ["169.254.1.1"]))).toEqual({
    nameservers: ["169.254.1.1"],
    search: [],
    options: [],
  });
});

test("a text names a resolver, or does not yet", () => {
  expect(
    ["", "# nameserver 192.0.2.1\n", "nameserver 192.0.", "search a.example\n"].some(namesResolver),
  ).toBe(false);
  expect(namesResolver("nameserver 192.0.2.1")).toBe(true);
});
