/** Rootless Podman, 4 with crun 1.8 and 5 with crun 1.21, whose containers without a network get one by the OCI hook. */
import { beforeAll, describe, expect, test } from "@jest/globals";
import { FAMILIES } from "../support/families.ts";
import { askAddress, FETCHES, usePodman } from "../support/podman.ts";
import { useStage } from "../support/stage.ts";

const stage = useStage();

/** With a resolv.conf: Podman gives none to containers without a network. */
const NETWORK = "--network none --annotation org.bucatini=true";
const PORTS = "--annotation org.bucatini.tcp-ports=8080:80 --annotation org.bucatini.udp-ports=5300:53";

describe.each([4, 5] as const)("Podman %s", (version) => {
  const podman = usePodman(stage, ({ account }) => ({
    version,
    engine: [`hooks_dir = ["/home/${account}/.config/hooks.d"]`],
    files: { "resolv.conf": "nameserver 169.254.1.1\n" },
  }));
  beforeAll(async () => {
    await podman().run(`${stage().bucatini} install-hook --dir ~/.config/hooks.d`);
    // In /etc/cdi or here is where both versions look.
    await podman().net.outside.run(`${stage().bucatini} install-hook --cdi --dir /run/cdi`);
  });

  test("the network is there when the program starts", async () => {
    const output = await podman().run(
      `podman run --rm ${NETWORK} --annotation org.bucatini.mtu=1400 -v ~/.config/resolv.conf:/etc/resolv.conf \
        box sh -c 'ip address show dev eth0; ${FETCHES}; nslookup www.test'`,
    );
    expect(output).toContain("mtu 1400");
    expect(output).toContain("inet 198.51.100.2/24");
    expect(output).toContain("inet6 2001:db8:1::2/64");
    expect(output.split(podman().payload)).toHaveLength(3);
    expect(output).toContain("192.0.2.7");
  }, 60_000);

  test("a resolv.conf is written where the image's etc belongs to another user", async () => {
    const output = await podman().run(
      `podman run --rm ${NETWORK} --annotation org.bucatini.resolv-conf=true box \
        sh -c 'ls -ldn /etc; nslookup www.test'`,
    );
    expect(output).toMatch(new RegExp(` ${stage().uid} +${stage().gid} .* /etc$`, "m"));
    expect(output).toContain("192.0.2.7");
  }, 60_000);

  const askBoth = async (): Promise<void> => {
    for (const { outside, peer } of FAMILIES) {
      expect(await askAddress(podman().net.peer, "tcp", outside, 8080)).toBe(`tcp ${peer}`);
      expect(await askAddress(podman().net.peer, "udp", outside, 5300)).toBe(`udp ${peer}`);
    }
  };

  test("published ports show clients by their addresses, through restart, stop and start", async () => {
    await podman().serve("c1", `${NETWORK} ${PORTS}`);
    await askBoth();
    await podman().run("podman restart --time 5 c1");
    await podman().serving("c1", 2);
    await askBoth();
    await podman().run("podman stop --time 5 c1");
    expect(await podman().engines()).toBe("");
    await podman().run("podman start c1");
    await podman().serving("c1", 3);
    await askBoth();
  }, 60_000);

  test("kill -9 of engine, container, conmon and Podman leaves nothing, and the next start has its ports", async () => {
    await podman().serve("c2", `${NETWORK} ${PORTS}`);
    const engine = /^\S+ +(\d+)/.exec(await podman().engines())?.[1];
    await podman().run(`kill -9 ${engine}; podman restart --time 5 c2`);
    await podman().serving("c2", 2);
    await askBoth();
    await podman().run("podman kill --signal KILL c2; podman wait c2; podman start c2");
    await podman().serving("c2", 3);
    const pids = await podman().inspect("c2", "{{.State.ConmonPid}} {{.State.Pid}}");
    await podman().run(`kill -9 ${pids}; until ! ${stage().bucatini} list | grep -q c2; do sleep 0.02; done
`);
    await podman().remove("c2");
    const client = await podman().user.start(`podman run --name c3 ${NETWORK} ${PORTS} box sleep 1000`);
    await podman().run("until podman exec c3 true; do sleep 0.05; done");
    await client.kill();
    expect(await podman().engines()).not.toBe("");
    await podman().remove("c3");
    expect(await podman().engines()).toBe("");
  }, 60_000);

  test.each(["auto", "keep-id", "nomap"])(
    "--userns=%s",
    async (mode) => {
      await podman().serve("c4", `${NETWORK} ${PORTS} --userns=${mode} --user 0`);
      await askBoth();
      expect(await podman().run(`podman exec c4 sh -c '${FETCHES}'`)).toContain(podman().payload);
    },
    60_000,
  );

  test("all containers of a pod have the network of the one with the hook", async () => {
    await podman().run("podman pod create --name p1 --network none");
    await podman().serve("c5", `--pod p1 --annotation org.bucatini=true ${PORTS}`);
    await askBoth();
    const output = await podman().run(`podman run --rm --pod p1 box sh -c '${FETCHES}'`);
    expect(output.split(podman().payload)).toHaveLength(3);
    await podman().run("podman pod restart p1");
    await podman().serving("c5", 2);
    await askBoth();
    await podman().run("podman pod rm --force --time 0 p1");
    expect(await podman().engines()).toBe("");
  }, 60_000);

  test("by the Container Device Interface, without hooks.d", async () => {
    const device = "--network none --device bucatini.org/net=user";
    await podman().serve("c6", `${device} ${PORTS}`);
    await askBoth();
    await podman().run("podman restart --time 5 c6");
    await podman().serving("c6", 2);
    await askBoth();
    await podman().run("podman stop --time 5 c6");
    expect(await podman().engines()).toBe("");
  }, 60_000);

  test("a mistake stops the container before its program, and leaves nothing", async () => {
    const output = await podman().run(
      `podman run --rm ${NETWORK} --annotation org.bucatini.mtu=12 box echo started || echo "status $?"`,
    );
    expect(output).toMatch(/^status 126$/m);
    expect(output).not.toMatch(/^started$/m);
    expect(await podman().engines()).toBe("");
  }, 60_000);

  test("a running container is connected by hand, as its user, from outside", async () => {
    await podman().serve("c7", "--network none");
    await podman().run(
      `${stage().bucatini} attach -t 8080:80 -u 5300:53 $(podman inspect --format '{{.State.Pid}}' c7)`,
    );
    await askBoth();
    expect(await podman().run(`podman exec c7 sh -c '${FETCHES}'`)).toContain(podman().payload);
    await podman().run("podman stop --time 5 c7");
  }, 60_000);

  test("a namespace with a name is connected from inside Podman's user namespace, and outlives its containers", async () => {
    const path = `/run/user/${stage().uid}/web`;
    await podman().run(
      `podman unshare sh -ec 'touch ${path}; unshare --net=${path} true
        ${stage().bucatini} attach --netns ${path} -t 8080:80 -u 5300:53'`,
    );
    for (const name of ["c8", "c9"]) {
      await podman().serve(name, `--network ns:${path}`);
      await askBoth();
      expect(await podman().run(`podman exec ${name} sh -c '${FETCHES}'`)).toContain(podman().payload);
      await podman().run(`podman rm --force --time 5 ${name}`);
    }
    await podman().run(`podman unshare sh -ec 'umount --lazy ${path}; rm ${path}'`);
  }, 60_000);
});
