/**
 * What an engine that was taken over can do to networks: change its container's where it is to follow the host, and
 * never the host's. A program with the engine's own sockets, identity, capabilities and system calls tries it.
 */
import { beforeAll, expect, test } from "@jest/globals";
import { execFileSync } from "node:child_process";
import { join, resolve } from "node:path";
import { expectNothingLeft, withNamespaces, type Network } from "../support/network.ts";
import type { Space } from "../support/space.ts";
import { useStage } from "../support/stage.ts";

const stage = useStage();
const ROOT_DIR = resolve(__dirname, "../..");
beforeAll(() => {
  const rolldown = join(ROOT_DIR, "node_modules/.bin/rolldown");
  const output = join(stage().dir, "take-over.cjs");
  const program = join(ROOT_DIR, "test/support/programs/take-over.ts");
  execFileSync(rolldown, [program, "--platform=node", "--format=cjs", "--external=koffi", "--file", output]);
});

const NET_BIND_SERVICE = 10;
const NET_ADMIN = 12;
const DEADLINE = 60_000;

const HOST = [
  "hostAddress",
  "hostAddressByName",
  "hostAddressOnOwnSocket",
  "hostLink",
  "newHostLink",
  "newHostLinkByName",
  "newHostLinkOnOwnSocket",
  "nameForHost",
  "ioctl",
  "netfilter",
  "tap",
  "raw",
];
const CONTAINER = ["addsRoute", "removesRoute", "changesMtu"];
const all = (names: readonly string[], outcome: string): Record<string, string> =>
  Object.fromEntries(names.map((name) => [name, outcome]));
const REFUSED = { readsContainer: "ok", ...all(HOST, "EPERM"), sysctl: "EACCES" };
const FOLLOWS = { ...REFUSED, ...all(CONTAINER, "ok") };
const FOLLOWS_NOT = { ...REFUSED, ...all(CONTAINER, "EPERM") };

interface Case {
  /** Words before a command that lead to the engine's user and network namespace. */
  enter: string;
  /** The same for the container's network namespace. */
  inside: string;
  isGuarded: boolean;
  /** Who asks for the engine's state. */
  owner?: Space;
}

/** What the program says in the place of the engine. */
async function takeOver(
  net: Network,
  { enter, inside, isGuarded, owner = net.outside }: Case,
): Promise<Record<string, unknown>> {
  const engine = await owner.run(`${net.stage.bucatini} status | sed -n 's/^pid: //p'`);
  const text = await net.outside.run(`set -e
    index=$(${inside} ip -o link show eth0 | cut -d : -f 1)
    ${enter} node ${net.stage.dir}/take-over.cjs ${engine.trim()} $index ${isGuarded ? "guarded" : ""}`);
  return JSON.parse(text);
}

/** What all threads of all guards may do, field by field. */
async function powerOfGuards(net: Network): Promise<string[]> {
  const found = await net.outside
    .run(`for pid in $(ps -e -o pid=,args= | awk '$2 == "bucatini-guard" { print $1 }'); do
    cat /proc/$pid/task/*/status; done | grep -E '^(Cap(Prm|Eff|Bnd|Amb)|NoNewPrivs)' | sort -u | tr '\\t' ' '`);
  return found.split("\n").filter((line) => line !== "");
}

const A_GUARD = [
  "CapAmb: 0000000000001000",
  "CapBnd: 0000000000000000",
  "CapEff: 0000000000001000",
  "CapPrm: 0000000000001000",
  "NoNewPrivs: 1",
];

test.each([
  { options: "", follows: true },
  { options: "--runas root", follows: true },
  { options: "--no-follow", follows: false },
])(
  "root's engine for a named namespace $options",
  async ({ options, follows }) => {
    await withNamespaces(stage(), { asRoot: true }, async (net) => {
      const { bucatini } = net.stage;
      await net.outside.run(`ip netns add web; ${bucatini} attach --netns web --name web ${options}`);
      expect(await powerOfGuards(net)).toEqual(follows ? A_GUARD : []);
      const did = await takeOver(net, {
        enter: "",
        inside: "ip netns exec web",
        isGuarded: follows,
      });
      // Root owns the files of sysctl(8).
      const sysctl = options.includes("root") ? "ok" : "EACCES";
      const expected = follows ? FOLLOWS : FOLLOWS_NOT;
      expect(did).toEqual({ capabilities: [NET_BIND_SERVICE], ...expected, sysctl });
      await net.outside.run("ip netns del web");
      await expectNothingLeft(net);
    });
  },
  DEADLINE,
);

test(
  "a launcher that cannot limit what root's programs inherit: the engine gives it up itself",
  async () => {
    await withNamespaces(stage(), { asRoot: true }, async (net) => {
      const start = `setpriv --bounding-set=-setpcap ${net.stage.bucatini} attach --netns web --runas root`;
      await net.outside.run(`ip netns add web; ${start}`);
      const way = { enter: "", inside: "ip netns exec web", isGuarded: true };
      const expected = { capabilities: [NET_BIND_SERVICE], ...FOLLOWS, sysctl: "ok" };
      expect(await takeOver(net, way)).toEqual(expected);
      await net.outside.run("ip netns del web");
      await expectNothingLeft(net);
    });
  },
  DEADLINE,
);

test(
  "root's engine for a CNI plugin",
  async () => {
    await withNamespaces(stage(), { asRoot: true }, async (net) => {
      const { dir } = net.stage;
      const cni = (verb: string): string => `echo '{"cniVersion":"1.0.0","name":"net","type":"bucatini"}' |
      CNI_COMMAND=${verb} CNI_CONTAINERID=c1 CNI_NETNS=/run/netns/web CNI_IFNAME=eth0 ${dir}/dist/cni/bucatini`;
      await net.outside.run(`ip netns add web; ${cni("ADD")}`);
      const way = { enter: "", inside: "ip netns exec web", isGuarded: true };
      expect(await takeOver(net, way)).toEqual({ capabilities: [NET_BIND_SERVICE], ...FOLLOWS });
      await net.outside.run(`${cni("DEL")}; ip netns del web`);
      await expectNothingLeft(net);
    });
  },
  DEADLINE,
);

/** Starts a program of the ordinary user that says who it is. */
const startTarget = async (net: Network, script: string): Promise<string> => {
  const target = await net.user.start(`unshare -Urn sh -c '${script}; echo ready $$; exec sleep 1000'`, {
    says: "ready",
  });
  return /ready (\d+)/.exec(target.output())![1];
};

test(
  "an ordinary user's engine has the power itself, because it counts in the container alone",
  async () => {
    await withNamespaces(stage(), { asRoot: true }, async (net) => {
      const { bucatini } = net.stage;
      const pid = await startTarget(net, "true");
      await net.user.run(`${bucatini} attach ${pid} --name mine`);
      expect(await powerOfGuards(net)).toEqual([]);
      const did = await takeOver(net, {
        enter: `nsenter -U -t ${pid}`,
        inside: `nsenter -n -t ${pid}`,
        isGuarded: false,
        owner: net.user,
      });
      // What it says of its container, nobody stands between.
      expect(did).toEqual({ capabilities: [NET_BIND_SERVICE, NET_ADMIN], ...FOLLOWS, nameForHost: "ok" });
      await net.outside.run(`kill ${pid}`);
      await expectNothingLeft(net);
    });
  },
  DEADLINE,
);

test(
  "in an inner network, whose owner is the container's as well, a guard has it",
  async () => {
    await withNamespaces(stage(), { asRoot: true }, async (net) => {
      const { bucatini } = net.stage;
      const inner = await startTarget(
        net,
        `ip link set lo up; ip link add eth0 type veth peer name eth1; ip link set eth1 up; ip link set eth0 up
      ip addr add 198.51.100.130/28 dev eth0; ip route add default via 198.51.100.129; unshare -n sleep 1000 & echo child $!`,
      );
      const enter = `nsenter -U -n -t ${inner}`;
      const container = `$(pgrep -P ${inner} sleep)`;
      await net.user.run(`${enter} --preserve-credentials ${bucatini} attach ${container} --name web`);
      expect(await powerOfGuards(net)).toEqual(A_GUARD);
      const did = await takeOver(net, {
        enter,
        inside: `nsenter -n -t ${container}`,
        isGuarded: true,
        owner: net.user,
      });
      // Some kernels let the root of the user namespace write to the files of sysctl(8) there.
      expect(did).toEqual({ capabilities: [NET_BIND_SERVICE], ...FOLLOWS, sysctl: did.sysctl });
      await net.outside.run(`kill ${container} ${inner}`);
      await expectNothingLeft(net);
    });
  },
  DEADLINE,
);

const changeAddress = (verb: string): string => `ip addr ${verb} 198.51.100.7/24 dev eth0`;
/** Prints the container's addresses once they are as many, or what there is after ten seconds. */
const addresses = (count: number): string => `for i in $(seq 200); do
    found=$(ip -n web -4 -o addr show dev eth0 | awk '{ print $4 }')
    [ $(echo "$found" | wc -l) = ${count} ] && break
    sleep 0.05
  done; echo "$found"`;

test(
  "root's container follows through a guard, which is a program from the first change on",
  async () => {
    await withNamespaces(stage(), { asRoot: true }, async (net) => {
      const names = "ps -e -o comm=,args= | awk '$2 == \"bucatini-guard\" { print $1 }'";
      await net.outside.run(`ip netns add web; ${net.stage.bucatini} attach --netns web --name web`);
      expect(await net.outside.run(names)).toBe("sh\n");
      expect(await net.outside.run(`${changeAddress("add")}; ${addresses(2)}`)).toBe(
        "198.51.100.2/24\n198.51.100.7/24\n",
      );
      expect(await net.outside.run(names)).not.toBe("sh\n");
      expect(await powerOfGuards(net)).toEqual(A_GUARD);
      expect(await net.outside.run(`${changeAddress("del")}; ${addresses(1)}`)).toBe("198.51.100.2/24\n");
      await net.outside.run("ip netns del web");
      await expectNothingLeft(net);
    });
  },
  DEADLINE,
);

test(
  "without its guard the engine says that the container is not up to date, and goes on",
  async () => {
    await withNamespaces(stage(), { asRoot: true }, async (net) => {
      await net.outside.run(`ip netns add web; ${net.stage.bucatini} attach --netns web --name web
      kill -9 $(ps -e -o pid=,args= | awk '$2 == "bucatini-guard" { print $1 }')
      ip addr add 198.51.100.7/24 dev eth0
      timeout 10 sh -c 'until grep -q "not up to date: .*EPIPE" /run/bucatini/web/engine.log; do sleep 0.05; done'`);
      expect(await net.outside.run("ip netns exec web ping -n -c 1 -W 2 203.0.113.1")).toContain(
        " 0% packet loss",
      );
      await net.outside.run("ip netns del web");
      await expectNothingLeft(net);
    });
  },
  DEADLINE,
);
