/** The host's network changes under a container that is at work. */
import { expect, test } from "@jest/globals";
import { eventually } from "../support/eventually.ts";
import { withNetwork, type Network } from "../support/network.ts";
import { useStage } from "../support/stage.ts";
import { enginePid } from "../support/subject.ts";

const stage = useStage();

const addresses = (net: Network): Promise<string> => net.container.run("ip -o address show dev eth0");
const routes = (net: Network): Promise<string> => net.container.run("ip route; ip -6 route");
const log = (net: Network): Promise<string> => net.user.run("cat $XDG_RUNTIME_DIR/bucatini/*/engine.log");

/** Waits until the container's addresses and routes match, and gives them. */
async function becomes(net: Network, pattern: RegExp): Promise<string> {
  const look = async (): Promise<string> => `${await addresses(net)}${await routes(net)}`;
  const text = await eventually(look, (each) => pattern.test(each));
  expect(text).toMatch(pattern);
  return text;
}

test("an address without connections goes at once, with all that hung on it", async () => {
  await withNetwork(stage(), {}, async (net) => {
    await net.outside.run(`ip address add 203.0.113.130/26 dev eth0; ip address add 203.0.113.131/26 dev eth0
      ip route add 203.0.113.7/32 via 203.0.113.140; ip route add 203.0.113.8/32 via 203.0.113.7 dev eth0 onlink`);
    await becomes(net, /203\.0\.113\.131\/26[^]*203\.0\.113\.8 via/);
    // The first of a subnet takes the others with it, on the host unless it promotes them.
    await net.outside.run("ip address del 203.0.113.130/26 dev eth0");
    const promotes =
      (await net.outside.run("cat /proc/sys/net/ipv4/conf/eth0/promote_secondaries")).trim() === "1";
    const after = await eventually(
      () => addresses(net),
      (text) => !text.includes("203.0.113.130"),
    );
    expect(after).not.toContain("203.0.113.130");
    expect(after.includes("203.0.113.131")).toBe(promotes);
  });
});

test("what is configured inside survives all of it", async () => {
  await withNetwork(stage(), {}, async (net) => {
    await net.container.run(`ip address add 10.9.9.9/24 dev eth0; ip route add 10.8.0.0/16 via 10.9.9.1
      ip route del default; ip route add default via 198.51.100.9 metric 40; ip link set eth0 mtu 1320
      ip -6 route del default; ip address del 2001:db8:1::2/64 dev eth0`);
    await net.outside.run(`ip route replace default via 198.51.100.200; ip link set eth0 mtu 1450
      ip -6 route replace default via 2001:db8:1::200; ip address add 203.0.113.9/32 dev eth0`);
    const now = await becomes(net, /203\.0\.113\.9\/32/);
    expect(now).toContain("10.9.9.9/24");
    expect(now).toMatch(/10\.8\.0\.0\/16 via 10\.9\.9\.1/);
    expect(now.match(/^default via \S+/gm)).toEqual(["default via 198.51.100.9"]);
    expect(now).not.toContain("2001:db8:1::2/64");
    expect(await net.container.run("ip -o link show dev eth0")).toContain("mtu 1320");
  });
});

test("R7: a link that was taken down inside stays down, and has all again when it comes up", async () => {
  await withNetwork(stage(), {}, async (net) => {
    await net.container.run("ip link set eth0 down");
    await net.outside.run(
      "ip address add 203.0.113.9/32 dev eth0; ip address add 2001:db8:1::9/64 dev eth0 nodad",
    );
    await eventually(
      () => log(net),
      (text) => text.includes("203.0.113.9/32"),
    );
    expect(await net.container.run("ip -o link show dev eth0")).toContain("state DOWN");
    await net.container.run("ip link set eth0 up");
    const now = await becomes(net, /2001:db8:1::9\/64/);
    for (const there of ["198.51.100.2/24", "203.0.113.9/32", "2001:db8:1::2/64"])
      expect(now).toContain(there);
    expect(now.match(/^default via/gm)).toHaveLength(2);
  });
});

test("R5: what cannot be configured inside, the engine does not count as the container's either", async () => {
  await withNetwork(stage(), {}, async (net) => {
    await net.container.run("echo 1 > /proc/sys/net/ipv6/conf/eth0/disable_ipv6");
    await net.outside.run(
      "ip address add 2001:db8:1::9/64 dev eth0 nodad; ip address add 203.0.113.9/32 dev eth0",
    );
    await becomes(net, /203\.0\.113\.9\/32/);
    const status = JSON.parse(await net.user.run(`${stage().bucatini} status --json`)) as {
      ipv4: { addresses: string[] };
      ipv6?: { addresses: string[] };
    };
    expect(status.ipv4.addresses).toContain("203.0.113.9/32");
    expect(status.ipv6?.addresses ?? []).toEqual([]);
  });
});

test("R9, R10: a change is followed where no namespace can be entered any more, and is one line of the log", async () => {
  await withNetwork(stage(), {}, async (net) => {
    const pid = await enginePid(net);
    expect(await net.outside.run(`grep ^Seccomp: /proc/${pid}/status`)).toMatch(/\t2/);
    const before = (await log(net)).split("\n").length;
    await net.outside.run("ip address add 203.0.113.9/32 dev eth0");
    await becomes(net, /203\.0\.113\.9\/32/);
    const said = (await log(net))
      .split("\n")
      .slice(before - 1)
      .filter((line) => line !== "");
    expect(said).toHaveLength(1);
    expect(JSON.parse(said[0])).toMatchObject({
      level: "info",
      ipv4: { template: "eth0", addresses: expect.arrayContaining(["203.0.113.9/32"]) },
    });
  });
});

/** More events than a socket holds that nobody reads. */
const many = (verb: string): string =>
  `for i in $(seq 3000); do echo "route ${verb} 203.0.113.$((i % 250))/32 dev eth0 metric $i"; done | ip -force -batch -`;
/** Sockets of a namespace that hear of changes and have missed some. */
const MISSED = "awk '$4 != \"00000000\" && $9 > 0' /proc/net/netlink | wc -l";

test("R12: events that were lost make no difference", async () => {
  await withNetwork(stage(), {}, async (net) => {
    const pid = await enginePid(net);
    await net.outside.run(`kill -STOP ${pid}; ${many("add")}; ${many("del")}
      ip address add 203.0.113.9/32 dev eth0; ip route replace default via 198.51.100.200`);
    await net.container.run(`${many("add")}; ${many("del")}`);
    for (const space of [net.outside, net.container]) {
      expect(Number(await space.run(MISSED))).toBeGreaterThan(0);
    }
    await net.outside.run(`kill -CONT ${pid}`);
    const now = await becomes(net, /203\.0\.113\.9\/32[^]*default via 198\.51\.100\.200/);
    expect(now.match(/^default via \S+\./gm)).toHaveLength(1);
    // Both are heard again.
    await net.outside.run("ip address add 203.0.113.10/32 dev eth0");
    await becomes(net, /203\.0\.113\.10\/32/);
    await net.container.run(
      "ip address add 203.0.113.11/32 dev eth0; ip link set eth0 down; ip link set eth0 up",
    );
    await becomes(net, /203\.0\.113\.10\/32[^]*default via 198\.51\.100\.200/);
  });
});
