/** Rootless Podman 5 with networks whose driver is the netavark plugin, inside the network namespace that pasta serves. */
import { expect, test } from "@jest/globals";
import { FAMILIES } from "../support/families.ts";
import { askAddress, FETCHES, usePodman } from "../support/podman.ts";
import { useStage } from "../support/stage.ts";

const stage = useStage();
const podman = usePodman(stage, ({ dir }) => ({
  version: 5,
  engine: [`helper_binaries_dir = ["${dir}/dist/bin", "/usr/lib/podman"]`],
  network: [`netavark_plugin_dirs = ["${dir}/dist/netavark"]`],
}));

const DUAL = "--subnet 10.66.0.0/24 --subnet fd66::/64 --ipv6";
const create = (words: string): Promise<string> => podman().run(`podman network create -d bucatini ${words}`);

test("Podman knows the driver; a network without subnets has the host's addresses", async () => {
  expect(await podman().run("podman info --format '{{.Plugins.Network}}'")).toContain("bucatini");
  await create("n1");
  const output = await podman().run(
    `podman run --rm --network n1 box sh -c 'ip address; ${FETCHES}; cat /etc/resolv.conf; nslookup www.test'`,
  );
  expect(output).toContain("inet 198.51.100.2/24");
  expect(output).toContain("inet6 2001:db8:1::2/64");
  expect(output.split(podman().payload)).toHaveLength(3);
  expect(output).toMatch(/^nameserver 169\.254\.1\.1$/m);
  expect(output).toContain("192.0.2.7");
  await podman().run("podman network rm n1");
}, 60_000);

test("subnets, fixed addresses and options; published ports through restart, stop and start", async () => {
  await create(`${DUAL} -o mtu=1400 n2`);
  await podman().serve(
    "c1",
    "--network n2:ip=10.66.0.50,ip6=fd66::50,mac=9a:00:00:00:00:09,interface_name=net7 -p 8080:80 -p 5300:53/udp",
  );
  const addresses = await podman().run(`podman exec c1 sh -c 'ip address show dev net7; ${FETCHES}'`);
  expect(addresses).toContain("mtu 1400");
  expect(addresses).toContain("link/ether 9a:00:00:00:00:09");
  expect(addresses).toContain("inet 10.66.0.50/24");
  expect(addresses).toContain("inet6 fd66::50/64");
  expect(addresses.split(podman().payload)).toHaveLength(3);
  expect(await podman().inspect("c1", "{{.NetworkSettings.Networks.n2.IPAddress}}")).toBe("10.66.0.50");
  for (const times of [1, 2, 3]) {
    await podman().serving("c1", times);
    // Podman's own rootlessport takes the clients and passes them on from inside the container.
    expect(await askAddress(podman().net.peer, "tcp", FAMILIES[0].outside, 8080)).toMatch(/^tcp /);
    expect(await askAddress(podman().net.peer, "udp", FAMILIES[0].outside, 5300)).toMatch(/^udp /);
    await podman().run("podman network reload c1");
    expect(await askAddress(podman().net.peer, "tcp", FAMILIES[0].outside, 8080)).toMatch(/^tcp /);
    if (times === 1) await podman().run("podman restart --time 5 c1");
    if (times === 2) await podman().run("podman stop --time 5 c1; podman start c1");
  }
  await podman().remove("c1");
  await podman().run("podman network rm n2");
}, 60_000);

test("kill -9 of container, conmon and Podman; connect and disconnect", async () => {
  await create(`${DUAL} n3`);
  await create("n4");
  await podman().serve("c2", "--network n3 -p 8080:80");
  const pids = await podman().inspect("c2", "{{.State.ConmonPid}} {{.State.Pid}}");
  await podman().run(`kill -9 ${pids}`);
  await podman().remove("c2");
  await podman().run("podman run -d --name c3 --network n3 box sleep 1000");
  for (const [from, to] of [
    ["n3", "n4"],
    ["n4", "n3"],
  ]) {
    await podman().run(`podman network disconnect ${from} c3; podman network connect ${to} c3`);
    expect(await podman().run(`podman exec c3 sh -c '${FETCHES}'`)).toContain(podman().payload);
  }
  await podman().remove("c3");
  await podman().run("podman network rm n3 n4");
}, 60_000);

test("a container in two networks reaches the peer through the first", async () => {
  await create("n6");
  await create(`${DUAL} n7`);
  const show = "ip -o address show scope global; ip route show default; ip -6 route show default";
  const output = await podman().run(
    `podman run --rm --network n6:interface_name=eth0 --network n7:interface_name=eth1 box sh -c '${show}; ${FETCHES}; sleep 1'`,
  );
  expect(output).toMatch(/eth0 +inet 198\.51\.100\.2\/24/);
  expect(output).toMatch(/eth1 +inet 10\.66\.0\.\d+\/24/);
  expect(output.split(podman().payload)).toHaveLength(3);
  await podman().run("podman network rm n6 n7");
}, 60_000);

test("mistakes come back as one sentence, and nothing starts", async () => {
  const refused = await podman().run(
    `podman network create -d bucatini --internal n5 || echo "status $?"
    podman network create -d bucatini -o mtu=12 n5 || echo "status $?"`,
  );
  expect(refused).toMatch(/cannot make the network n5: an internal one .*\nstatus 125\n/);
  expect(refused).toMatch(/--mtu 12: not a number.*\nstatus 125\n/);
  await create("-o interface=nowhere -o follow=false n5");
  const failed = await podman().run('podman run --rm --network n5 box echo started || echo "status $?"');
  expect(failed).toMatch(/plugin "bucatini" failed: exit code 1, message: .*nowhere.*\nstatus 126\n/);
  expect(failed).not.toMatch(/^started$/m);
  await podman().run("podman network rm n5");
}, 60_000);

test("with the broker the engine is on the host, and not behind that of Podman's own namespace", async () => {
  const { net, user } = podman();
  const broker = await user.start(`${stage().bucatini} broker`, { says: "listens at" });
  await create("n6");
  await podman().serve("c6", "--network n6 -p 8080:80");
  const pid = /^(?!rootless-netns)\S+ +(\d+)/m.exec(await podman().engines())?.[1];
  expect(await net.outside.run(`readlink /proc/${pid}/ns/net`)).toBe(
    await net.outside.run("readlink /proc/self/ns/net"),
  );
  expect(await podman().run(`podman exec c6 sh -c '${FETCHES}'`)).toContain(podman().payload);
  expect(await askAddress(net.peer, "tcp", FAMILIES[0].outside, 8080)).toMatch(/^tcp /);
  await broker.kill("SIGTERM");
  await podman().remove("c6");
  await podman().run("podman network rm n6");
}, 60_000);
