/** What is followed is said by options, and what that comes to is said by `status`. */
import { expect, test } from "@jest/globals";
import { Ajv } from "ajv";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { eventually } from "../support/eventually.ts";
import { expectInside } from "../support/following.ts";
import { withNamespaces, type Network } from "../support/network.ts";
import { prelude } from "../support/prelude.ts";
import { useStage } from "../support/stage.ts";

const stage = useStage();
/** 1 or 0; what is mounted at /sys need not be of this namespace. */
const CARRIER = "ip -o link show dev eth0 | grep -c LOWER_UP || true";

interface Status {
  readonly interface: string;
  readonly mtu: number;
  readonly policy: unknown;
  readonly resolvers: readonly string[];
  readonly ipv4: { readonly why: string };
  readonly ipv6: unknown;
}

const schema = JSON.parse(
  readFileSync(join(__dirname, "../../schemas/control.schema.json"), "utf8"),
) as object;
const ajv = new Ajv({ strict: true }).addSchema(schema);

async function status(net: Network): Promise<Status> {
  const answer = JSON.parse(await net.user.run(`${net.stage.bucatini} status --json`)) as Status;
  ajv.validate("control.schema.json#/definitions/statusResult", answer);
  expect(ajv.errors).toBeNull();
  return answer;
}

test("status says what is followed, what that comes to and why", async () => {
  await withNamespaces(stage(), { resolvConf: "nameserver 203.0.113.53\n" }, async (net) => {
    await net.startContainer();
    expect(await status(net)).toMatchObject({
      policy: { follow: true, addressing: "mirror", carrier: "up" },
      interface: "eth0",
      mtu: 1500,
      ipv4: {
        addresses: ["198.51.100.2/24"],
        gateway: "198.51.100.1",
        hostInterface: "eth0",
        why: "it has the default route",
      },
      ipv6: { addresses: ["2001:db8:1::2/64"], gateway: "2001:db8:1::1", hostInterface: "eth0" },
      resolvers: ["203.0.113.53"],
    });
    await net.outside.run(`ip -4 address flush dev eth0; ip link set eth0 mtu 1400`);
    const later = await eventually(
      () => status(net),
      ({ ipv4, mtu }) => ipv4.why.startsWith("waiting") && mtu === 1400,
    );
    expect(later).toMatchObject({
      policy: { follow: true },
      ipv4: { addresses: ["169.254.2.1/16"], why: "waiting for an interface with a route and an address" },
      ipv6: { why: "it has the default route" },
      mtu: 1400,
    });
    expect(later.ipv4).not.toHaveProperty("hostInterface");
    const text = await net.user.run(`${net.stage.bucatini} status`);
    expect(text).toContain("\nipv4:\n  addresses: 169.254.2.1/16\n");
    await net.stopContainer();
  });
}, 60_000);

test("status names what is pinned", async () => {
  const options =
    "-4 --interface eth0 --address 198.51.100.9/25 --address 198.51.100.10 --netmask 255.255.0.0";
  await withNamespaces(stage(), {}, async (net) => {
    await net.startContainer(
      `${options} --gateway 198.51.100.1 --mtu 1300 --dns-host 203.0.113.9`.split(" "),
    );
    const answer = await status(net);
    expect(answer.policy).toEqual({
      follow: true,
      addressing: "mirror",
      carrier: "up",
      template: "eth0",
      addresses: ["198.51.100.9/25", "198.51.100.10/16"],
      gateways: ["198.51.100.1"],
      mtu: 1300,
      resolvers: ["203.0.113.9"],
    });
    expect(answer).toMatchObject({ ipv4: { why: "it was named" }, resolvers: ["203.0.113.9"], mtu: 1300 });
    expect(answer.ipv6).toBeUndefined();
    expect(await net.container.run("ip -o -4 address show dev eth0 | awk '{ print $4 }'")).toBe(
      "198.51.100.9/25\n198.51.100.10/16\n",
    );
    await net.stopContainer();
  });
}, 60_000);

test("--no-follow keeps what there was at the start", async () => {
  await withNamespaces(stage(), {}, async (net) => {
    await net.startContainer(["--no-follow", "--name", "still"]);
    const other = await net.user.start(
      `${net.stage.bucatini} run --name other -- sh -c 'echo up; exec cat'`,
      { says: "up" },
    );
    await net.outside.run("ip address add 198.51.100.7/24 dev eth0; ip link set eth0 mtu 1400");
    const mtu = async (name: string): Promise<number> => {
      const text = await net.user.run(`${net.stage.bucatini} status --json ${name}`);
      return (JSON.parse(text) as Status).mtu;
    };
    // Another engine has seen it.
    expect(
      await eventually(
        () => mtu("other"),
        (value) => value === 1400,
      ),
    ).toBe(1400);
    expect(await mtu("still")).toBe(1500);
    const inside = await net.container.run("ip -o address show dev eth0 scope global; ip link show dev eth0");
    expect(inside).toContain("198.51.100.2/24");
    expect(inside).toContain("mtu 1500");
    expect(inside).not.toContain("198.51.100.7");
    other.child.stdin?.end();
    await other.ended;
    await net.stopContainer();
  });
}, 60_000);

test("with --carrier follow the link inside goes down with the template's, and up again", async () => {
  await withNamespaces(stage(), {}, async (net) => {
    const carrier = (wanted: string): Promise<string> =>
      eventually(
        async () => (await net.container.run(CARRIER)).trim(),
        (value) => value === wanted,
      );
    await net.startContainer(["--carrier", "follow"]);
    expect(await carrier("1")).toBe("1");
    // The cable is pulled, the interface is gone, and comes back.
    await net.router.run("ip link set near down");
    expect(await carrier("0")).toBe("0");
    await net.router.run("ip link set near up");
    expect(await carrier("1")).toBe("1");
    await net.outside.run("ip link delete eth0");
    expect(await carrier("0")).toBe("0");
    await net.outside.run(`ip link add eth0 type veth peer name near2
      ip link set near2 up; ip link set eth0 up
      ip address add 198.51.100.2/24 dev eth0; ip route add default via 198.51.100.1`);
    expect(await carrier("1")).toBe("1");
    // The carrier is there with the address, the route comes behind it.
    await expectInside(net.container, { routes: expect.arrayContaining(["default via 198.51.100.1"]) });
    await net.stopContainer();
  });
}, 60_000);

test("without it the link stays up", async () => {
  await withNamespaces(stage(), {}, async (net) => {
    await net.startContainer();
    await net.outside.run("ip link delete eth0");
    const later = await eventually(
      () => status(net),
      ({ ipv4 }) => ipv4.why.startsWith("waiting"),
    );
    expect(later.ipv4.why).toContain("waiting");
    expect(await net.container.run(CARRIER)).toBe("1\n");
    await net.stopContainer();
  });
}, 60_000);

test("an interface that is named and not there is told at once, with those that are, and waited for", async () => {
  await withNamespaces(stage(), {}, async (net) => {
    const output = await net.outside.run(`${prelude(stage())}
      set -e
      target
      $B attach --interface eth7 $T 2>&1
      $B status | sed -n 's/^  why: //p'
      ip link set eth0 name eth7 2>/dev/null || { ip link set eth0 down; ip link set eth0 name eth7; ip link set eth7 up; }
      for i in $(seq 200); do $B status | grep -q 'hostInterface: eth7' && break; sleep 0.05; done
      $B status | sed -n 's/^  why: //p'
      $B detach $T
      kill $T`);
    const waiting = "waiting for eth7 to have an address\n";
    const [first, id, ...rest] = output.split("\n");
    expect(first).toBe("bucatini: waiting for the interface eth7: the host has eth0");
    expect(id).toMatch(/^\d+$/);
    expect(rest.join("\n")).toContain(`${waiting}${waiting}`);
    expect(rest.join("\n")).toMatch(/it was named\n/);
  });
}, 60_000);
