/** Pods as Kubernetes starts them: containerd's CRI service calls the plugin, and the loopback plugin beside it. */
import { expect, test } from "@jest/globals";
import { IMAGE, importImage, withContainerd, type Containerd } from "../support/containerd.ts";
import { Cri, type Pod } from "../support/cri.ts";
import { canonical } from "../support/crossings.ts";
import { FAMILIES, type Family } from "../support/families.ts";
import type { Network } from "../support/network.ts";
import { createPayload, startDnsmasq, startNginx } from "../support/servers.ts";
import type { Space } from "../support/space.ts";
import { useStage } from "../support/stage.ts";

const stage = useStage();
const PLUGIN = { type: "bucatini", capabilities: { portMappings: true, bandwidth: true } };
const CONFIG = { cniVersion: "1.0.0", name: "net", plugins: [PLUGIN] };
const POD: Pod = {
  name: "pod",
  ports: [
    { host_port: 8001, container_port: 4001 },
    { host_port: 8001, container_port: 4001, protocol: "UDP" },
    { host_port: 8002, container_port: 4001, host_ip: "127.0.0.1" },
  ],
};
/** Servers that answer with the address of their client. */
const TELLERS = `for family in 4 6; do
    only=; [ $family = 4 ] || only=,ipv6only=1
    for what in TCP$family-LISTEN:4001,fork,reuseaddr UDP$family-RECVFROM:4001,fork; do
      socat $what$only SYSTEM:'read line; echo from $SOCAT_PEERADDR' &
    done
  done
  wait`;

interface World extends Containerd {
  readonly cri: Cri;
}

async function withCri(config: unknown, body: (world: World) => Promise<void>): Promise<void> {
  await withContainerd(stage(), config, async (containerd) => {
    await importImage(stage(), containerd);
    const cri = new Cri(containerd.socket);
    try {
      await body({ ...containerd, cri });
    } finally {
      cri.close();
    }
  });
}

/** A pod with a container in it, whose servers answer. */
async function startPod({ cri, net }: World): Promise<{ podId: string; containerId: string }> {
  const podId = await cri.runPod(POD);
  const containerId = await cri.runContainer(podId, POD, IMAGE, ["/bin/sh", "-c", TELLERS]);
  await net.outside.run(
    `until nsenter --net=$(echo /run/netns/cni-*) ss -Hlntu 'sport = :4001' | wc -l | grep -q 4; do sleep 0.05; done`,
  );
  return { podId, containerId };
}

async function endPod(cri: Cri, podId: string): Promise<void> {
  for (const method of ["StopPodSandbox", "StopPodSandbox", "RemovePodSandbox"]) {
    await cri.call(method, { pod_sandbox_id: podId });
  }
}

/** Whom the server inside has for its client, or "nobody" when there is no answer. */
async function ask(space: Space, target: string): Promise<string> {
  const { stdout } = await space.attempt(`echo hello | timeout 5 socat -t 1 - ${target}`);
  return canonical(/^from (\S+)/.exec(stdout)?.[1] ?? "nobody");
}

/** Whom the servers have for their client when the peer asks, by family and protocol. */
async function askAll(net: Network): Promise<string[][]> {
  const one = async ({ digit, outside }: Family): Promise<string[]> => {
    const host = digit === "6" ? `[${outside}]` : outside;
    return [await ask(net.peer, `TCP${digit}:${host}:8001`), await ask(net.peer, `UDP${digit}:${host}:8001`)];
  };
  return Promise.all(FAMILIES.map(one));
}

const PEERS = FAMILIES.map(({ peer }) => [peer, peer]);
const NOBODY = FAMILIES.map(() => ["nobody", "nobody"]);
/** What is left of pods: engines, namespaces, listening sockets. */
const REST =
  "$B list | tail -n +2; ls /run/netns | grep cni- || true; ss -Hlntu '( sport = :8001 or sport = :8002 )'";

test("a pod: traffic out and in with the client's own address, published ports, and every stop", async () => {
  const sum = await createPayload(stage(), "payload", 4 * 1024 * 1024);
  await withCri(CONFIG, async (world) => {
    const { net, cri, script } = world;
    await startNginx(net);
    await startDnsmasq(
      net.peer,
      FAMILIES.map((family) => family.peer),
    );
    const { podId, containerId } = await startPod(world);
    const { status } = await cri.call("PodSandboxStatus", { pod_sandbox_id: podId });
    expect(status).toMatchObject({
      state: "SANDBOX_READY",
      network: { ip: FAMILIES[0]?.outside, additional_ips: [{ ip: FAMILIES[1]?.outside }] },
    });

    const fetches = FAMILIES.map(({ peerHost }) => `wget -q -O - http://${peerHost}/payload | sha256sum`);
    const executed = await cri.exec(containerId, [...fetches, "nslookup www.test"].join("; "));
    expect(executed).toMatchObject({ exitCode: 0, stdout: expect.stringContaining("192.0.2.7") });
    expect(executed.stdout.split(sum)).toHaveLength(3);

    expect(await askAll(net)).toEqual(PEERS);
    expect(await ask(net.outside, "TCP4:127.0.0.1:8002")).toBe("198.51.100.2");
    expect(await ask(net.peer, "TCP4:198.51.100.2:8002")).toBe("nobody");

    await endPod(cri, podId);
    expect(await script(REST)).toBe("");
    const id = `${podId} eth0`;
    expect((await script("cat $W/calls")).replaceAll(/cni-\S+/g, "cni-X").split("\n")).toEqual([
      `ADD ${id} /var/run/netns/cni-X`,
      `DEL ${id} /var/run/netns/cni-X`,
      `DEL ${id} `,
      `DEL ${id} `,
      "",
    ]);
    // The ports are free for the next pod.
    const next = await startPod(world);
    expect(await askAll(net)).toEqual(PEERS);
    await cri.call("RemovePodSandbox", { pod_sandbox_id: next.podId });
    expect(await script(REST)).toBe("");
  });
}, 120_000);

test("limits of bandwidth, as Kubernetes annotates them", async () => {
  // 4 s at 1 MB a second.
  await createPayload(stage(), "payload", 4_000_000);
  await withCri(CONFIG, async ({ net, cri }) => {
    await startNginx(net);
    const pod: Pod = { name: "slow", annotations: { "kubernetes.io/ingress-bandwidth": "8M" } };
    const podId = await cri.runPod(pod);
    const containerId = await cri.runContainer(podId, pod, IMAGE, ["/bin/sleep", "1000"]);
    const begin = performance.now();
    const fetched = await cri.exec(containerId, "wget -q -O /dev/null http://203.0.113.1/payload");
    const seconds = (performance.now() - begin) / 1000;
    expect(fetched.exitCode).toBe(0);
    expect(seconds).toBeGreaterThan(3);
    expect(seconds).toBeLessThan(6);
    await endPod(cri, podId);
  });
}, 60_000);

test("containerd is killed and started again: the pod stays connected, and can be stopped", async () => {
  await withCri(CONFIG, async (world) => {
    const { net, cri, script, kill, start } = world;
    const { podId, containerId } = await startPod(world);
    await kill();
    expect(await askAll(net)).toEqual(PEERS);
    await start();
    expect(await cri.exec(containerId, "ip address show dev eth0")).toMatchObject({
      exitCode: 0,
      stdout: expect.stringContaining("inet 198.51.100.2/24"),
    });
    expect(await askAll(net)).toEqual(PEERS);
    await endPod(cri, podId);
    expect(await askAll(net)).toEqual(NOBODY);
    expect(await script(REST)).toBe("");
  });
}, 120_000);

test("a pod whose first process is killed is cleared away like any other", async () => {
  await withCri(CONFIG, async (world) => {
    const { cri, script } = world;
    const { podId } = await startPod(world);
    await script(`ctr -n k8s.io task kill -s KILL ${podId}`);
    await endPod(cri, podId);
    expect(await script(REST)).toBe("");
  });
}, 60_000);

test("a port that is taken is named, nothing is left, and the pod starts once it is free", async () => {
  await withCri(CONFIG, async (world) => {
    const { net, cri, script } = world;
    const other = await net.outside.start("socat TCP4-LISTEN:8001 -", { port: 8001 });
    await expect(cri.runPod(POD)).rejects.toThrow(/port 8001.*another program/);
    await other.kill();
    expect(await script(REST)).toBe("");
    const { podId } = await startPod(world);
    expect(await askAll(net)).toEqual(PEERS);
    await endPod(cri, podId);
  });
}, 60_000);

/** A plugin whose ADD fails, and whose DEL does not. */
const REFUSING = `#!/bin/sh
  if [ $CNI_COMMAND = ADD ]; then echo '{"code": 100, "msg": "refused"}'; exit 1; fi`;

test("a plugin behind ours fails: ours is called to take back what it has made", async () => {
  await withCri({ ...CONFIG, plugins: [PLUGIN, { type: "other" }] }, async ({ cri, script }) => {
    await script(
      `echo '${REFUSING.replaceAll("'", `'"'"'`)}' > /opt/cni/bin/other; chmod 755 /opt/cni/bin/other`,
    );
    await expect(cri.runPod(POD)).rejects.toThrow("refused");
    expect(await script(REST)).toBe("");
  });
}, 60_000);

test("a plugin behind ours is missing: the pod is there until it can be taken down", async () => {
  await withCri({ ...CONFIG, plugins: [PLUGIN, { type: "other" }] }, async ({ cri, script }) => {
    await expect(cri.runPod(POD)).rejects.toThrow('failed to find plugin "other"');
    await script("ln -s /bin/true /opt/cni/bin/other");
    const { items = [] } = await cri.call("ListPodSandbox", {});
    expect(items).toHaveLength(1);
    for (const { id } of items) await endPod(cri, id);
    expect(await script(REST)).toBe("");
  });
}, 60_000);
