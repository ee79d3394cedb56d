/** Rootless Podman 5, which connects containers by a program called pasta, with the one of this project. */
import { expect, test } from "@jest/globals";
import { FAMILIES } from "../support/families.ts";
import { askAddress, FETCHES, usePodman } from "../support/podman.ts";
import { useStage } from "../support/stage.ts";

const stage = useStage();
const podman = usePodman(stage, ({ dir }) => ({
  version: 5,
  engine: [`helper_binaries_dir = ["${process.env["PASTA"] ?? `${dir}/dist/bin`}", "/usr/lib/podman"]`],
  network: ['firewall_driver = "iptables"'],
}));

test("the default network has the host's addresses, reaches the peer, finds names, and reaches the host by name", async () => {
  await podman().host("socat TCP-LISTEN:7,bind=198.51.100.2,fork EXEC:cat", 7);
  const output = await podman().run(
    `podman run --rm box sh -c 'ip address show dev eth0; ${FETCHES}; cat /etc/resolv.conf; nslookup www.test
      echo hello | nc -w 5 host.containers.internal 7'`,
  );
  expect(output).toContain("mtu 65520");
  expect(output).toContain("inet 198.51.100.2/24");
  expect(output).toContain("inet6 2001:db8:1::2/64");
  expect(output.split(podman().payload)).toHaveLength(3);
  expect(output).toContain("nameserver 169.254.1.1\n");
  expect(output).toContain("192.0.2.7");
  expect(output).toContain("hello");
}, 60_000);

test("published ports show clients by their addresses, also right after a restart", async () => {
  const { net } = podman();
  await podman().serve("c1", "-p 8080:80 -p 5300-5301:53-54/udp -p 198.51.100.2:8081:80");
  for (const times of [1, 2]) {
    await podman().serving("c1", times);
    for (const { outside, peer } of FAMILIES) {
      expect(await askAddress(net.peer, "tcp", outside, 8080)).toBe(`tcp ${peer}`);
      expect(await askAddress(net.peer, "udp", outside, 5300)).toBe(`udp ${peer}`);
    }
    expect(await askAddress(net.peer, "tcp", "198.51.100.2", 8081)).toBe("tcp 203.0.113.1");
    if (times === 1) await podman().run("podman restart --time 5 c1");
  }
  await podman().run("podman stop --time 5 c1; podman start c1");
  await podman().serving("c1", 3);
  expect(await askAddress(net.peer, "tcp", "198.51.100.2", 8080)).toBe("tcp 203.0.113.1");
}, 60_000);

test("options for pasta are given through, and mistakes come back", async () => {
  const output = await podman().run(
    `podman run --rm --network pasta:--mtu,1400,-I,uplink,--ns-mac-addr,02:00:00:00:00:77,-a,198.51.100.77,-n,24 box ip address show dev uplink
    podman run --rm --network pasta:--mtu,big box true || echo "status $?"
    podman run --rm --network pasta:--nonsense box true || echo "status $?"`,
  );
  expect(output).toContain("mtu 1400");
  expect(output).toContain("link/ether 02:00:00:00:00:77");
  expect(output).toContain("inet 198.51.100.77/24");
  expect(output.match(/^status 126$/gm)).toHaveLength(2);
  expect(output).toMatch(/pasta failed with exit code \d+:\n.*--mtu.*big/);
  expect(output).toMatch(/pasta failed with exit code \d+:\n.*nonsense/);
}, 60_000);

test("a port that somebody else has is named, and nothing starts", async () => {
  await podman().host("nc -l 198.51.100.2 8080", 8080);
  const output = await podman().run('podman run --rm -p 8080:80 box echo started || echo "status $?"');
  expect(output).toContain("status 126");
  expect(output).toContain("8080");
  expect(output).not.toContain("started\n");
}, 60_000);

test("kill -9 of container, conmon and Podman leaves nothing when the container is removed", async () => {
  const { net } = podman();
  await podman().serve("c2", "-p 8080:80");
  await podman().run(`kill -9 $(podman inspect --format '{{.State.ConmonPid}} {{.State.Pid}}' c2)`);
  await podman().remove("c2");
  const client = await podman().user.start("podman run --name c2 -p 8080:80 box sleep 1000");
  await podman().run("until podman exec c2 true 2> /dev/null; do sleep 0.05; done");
  await client.kill();
  await podman().remove("c2");
  await podman().serve("c2", "-p 8080:80");
  expect(await askAddress(net.peer, "tcp", "198.51.100.2", 8080)).toBe("tcp 203.0.113.1");
}, 60_000);

test("ports of a pod, and of a container with user ids of its own", async () => {
  const { net } = podman();
  await podman().run("podman pod create --name p1 -p 8080:80");
  await podman().serve("c3", "--pod p1");
  await podman().serve("c4", "--userns=auto -p 5300:53/udp");
  for (const { outside, peer } of FAMILIES) {
    expect(await askAddress(net.peer, "tcp", outside, 8080)).toBe(`tcp ${peer}`);
    expect(await askAddress(net.peer, "udp", outside, 5300)).toBe(`udp ${peer}`);
  }
  await podman().run("podman pod rm --force --time 0 p1");
}, 60_000);

test("a build has a network", async () => {
  const output = await podman().run(
    `mkdir build
    printf '%s\\n' 'FROM box' 'RUN ${FETCHES}' > build/Containerfile
    podman build --no-cache build`,
  );
  expect(output.split(podman().payload)).toHaveLength(3);
  await podman().run("podman image prune --force; rm -r build");
}, 60_000);

test("containers of a bridge network get out, are reached, and find each other by name", async () => {
  const { net } = podman();
  await podman().run("podman network create --ipv6 lan");
  await podman().serve("c5", "--network lan -p 8080:80");
  const output = await podman().run(
    `podman run --rm --network lan box sh -c '${FETCHES}; nslookup www.test; echo hello | nc c5 80'`,
  );
  expect(output.split(podman().payload)).toHaveLength(3);
  expect(output).toContain("192.0.2.7");
  expect(output).toMatch(/^tcp /m);
  expect(await askAddress(net.peer, "tcp", "198.51.100.2", 8080)).toMatch(/^tcp /);
  // All containers of bridge networks share one engine, which Podman looks after.
  const again = await podman().run(
    `engine=$(cat $XDG_RUNTIME_DIR/containers/networks/rootless-netns/rootless-netns-conn.pid)
    kill -9 $engine
    while kill -0 $engine 2> /dev/null; do sleep 0.01; done
    podman run --rm --network lan box sh -c '${FETCHES}'`,
  );
  expect(again.split(podman().payload)).toHaveLength(3);
  await podman().run("podman rm --force --time 0 c5; podman network rm lan");
}, 60_000);

test("podman info names the version", async () => {
  const version = await podman().run(`${stage().dir}/dist/bin/pasta --version`);
  expect(await podman().run("podman info --format '{{.Host.Pasta.Version}}'")).toContain(version.trim());
}, 60_000);
