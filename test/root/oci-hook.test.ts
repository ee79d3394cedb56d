/** runc and crun start the hook, as their bundles' configuration says, in small networks of namespaces. */
import { expect, test } from "@jest/globals";
import { type Bundle, makeBundle, RUNTIME_NAMES, RUNTIMES } from "../support/bundle.ts";
import { FAMILIES } from "../support/families.ts";
import { expectNothingLeft, withNamespaces, type Network } from "../support/network.ts";
import { askAddress, TELL_ADDRESSES } from "../support/podman.ts";
import type { Running } from "../support/process.ts";
import { createPayload, startDnsmasq, startNginx } from "../support/servers.ts";
import { useStage } from "../support/stage.ts";

const stage = useStage();

const inBundle = (net: Network, bundle: Bundle, script: string): Promise<string> =>
  net.outside.run(`${makeBundle(stage(), bundle)}\n${script}`, { seconds: 60 });

/** As the machine's root, and as root of a user namespace of an ordinary user, which is what rootless Podman is. */
const cases = RUNTIME_NAMES.flatMap((name) =>
  (["createRuntime", "prestart"] as const).flatMap((at) =>
    [true, false].map((asRoot) => ({ name, at, asRoot })),
  ),
);

test.each(cases)(
  "$name, hook at $at, root of the machine $asRoot: the network is ready, and with the program's end everything goes",
  async ({ name, at, asRoot }) => {
    const sum = await createPayload(stage(), "payload", 4 << 20);
    await withNamespaces(stage(), { asRoot }, async (net) => {
      await startNginx(net);
      await startDnsmasq(
        net.peer,
        FAMILIES.map((family) => family.peer),
      );
      const fetches = FAMILIES.map(({ peerHost }) => `wget -q -O - http://${peerHost}/payload | sha256sum`);
      const script = `ip -o address show dev uplink; ip -o link show dev uplink; ${fetches.join("; ")}
        nslookup www.test 169.254.1.1; ping -c 1 -W 5 ${FAMILIES[0]?.peer}`;
      const annotations = { "org.bucatini.mtu": "1400", "org.bucatini.ifname": "uplink" };
      const output = await inBundle(
        net,
        { script, annotations, at: [at] },
        `${RUNTIMES[name]} run c1 < /dev/null 2>&1
        ${stage().bucatini} list`,
      );
      expect(output).toContain("inet 198.51.100.2/24");
      expect(output).toContain("inet6 2001:db8:1::2/64");
      expect(output).toContain("mtu 1400");
      expect(output.split(sum)).toHaveLength(3);
      expect(output).toContain("192.0.2.7");
      expect(output).toContain("1 packets received");
      expect(output).toMatch(/ID +ENGINE +TARGET +PHASE\n$/);
      await net.outside.run("rm -rf $TMPDIR/* $T/nginx");
      await expectNothingLeft(net);
    });
  },
  60_000,
);

test.each(RUNTIME_NAMES)(
  "%s: the engine is there from create to delete, under the container's name",
  async (name) => {
    await withNamespaces(stage(), { asRoot: true }, async (net) => {
      const runtime = RUNTIMES[name];
      const output = await inBundle(
        net,
        { script: "exec sleep 1000" },
        `list() { ${stage().bucatini} list | tail -n +2; }
        ${runtime} create c2 < /dev/null > /dev/null 2>&1
        list
        ${runtime} start c2
        list
        ${runtime} kill c2 KILL
        ${runtime} delete --force c2
        echo deleted
        list`,
      );
      expect(output).toMatch(/^(c2-[0-9a-f]{16} +\d+ +pid \d+ +running)\n\1\ndeleted\n$/);
      await net.outside.run("rm -rf $TMPDIR/*");
      await expectNothingLeft(net);
    });
  },
  60_000,
);

const MISTAKES = [
  [
    { annotations: { "org.bucatini.mtus": "1400" } },
    "cannot use the annotation org.bucatini.mtus: there is no such option",
  ],
  [{ annotations: { "org.bucatini.mtu": "12" } }, "--mtu 12: not a number from 68 to 65520"],
  [{ sharesNetwork: true }, "it is in the network namespace of this command, so there is nothing to connect"],
] as const;

test.each(MISTAKES)(
  "runc with %j starts nothing and shows why",
  async (bundle, why) => {
    await withNamespaces(stage(), { asRoot: true }, async (net) => {
      const output = await inBundle(
        net,
        { script: "echo started", ...bundle },
        `${RUNTIMES.runc} run c3 < /dev/null 2>&1 || echo "status $?"
      ${RUNTIMES.runc} list -q
      ${stage().bucatini} list | tail -n +2`,
      );
      expect(output).toContain(why);
      expect(output).not.toContain("started");
      expect(output).toContain("status 1");
      expect(output).not.toContain("c3\n");
      await net.outside.run("rm -rf $TMPDIR/*");
      await expectNothingLeft(net);
    });
  },
  60_000,
);

const STATE = { ociVersion: "1.0.2", id: "c4", bundle: "/" };

/** A process with a network namespace of its own. */
async function hold(net: Network): Promise<{ pid: number; holder: Running }> {
  const holder = await net.outside.start("unshare -n sh -c 'echo $$; echo ready; exec sleep 1000'", {
    says: "ready\n",
  });
  return { pid: Number(/(\d+)\nready/.exec(holder.output())?.[1]), holder };
}

/** Starts the hook by hand, without any environment. */
const give = (net: Network, state: string): Promise<string> =>
  net.outside.run(
    `printf '%s' '${state}' | env -i ${stage().dir}/dist/hooks/bucatini-oci-hook 2>&1; echo "status $?"`,
  );

test("poststop ends the engine of a namespace that somebody still holds, once or twice", async () => {
  await withNamespaces(stage(), { asRoot: true }, async (net) => {
    const { pid, holder } = await hold(net);
    const list = (): Promise<string> => net.outside.run(`${stage().bucatini} list | tail -n +2`);
    expect(await give(net, JSON.stringify({ ...STATE, status: "created", pid }))).toBe("status 0\n");
    expect(await list()).toMatch(/^c4-/);
    // At another stage, and for another container that shares the namespace, it is left as it is.
    for (const more of [{ status: "running" }, { status: "created", id: "c5" }]) {
      expect(await give(net, JSON.stringify({ ...STATE, ...more, pid }))).toBe("status 0\n");
    }
    expect(await give(net, JSON.stringify({ ...STATE, id: "c5", status: "stopped" }))).toBe("status 0\n");
    expect(await list()).toMatch(/^c4-[^\n]*\n$/);
    for (const more of [{}, { pid: 0 }]) {
      const stopped = JSON.stringify({ ...STATE, ...more, status: "stopped" });
      expect(await give(net, stopped)).toBe("status 0\n");
      expect(await list()).toBe("");
    }
    await holder.kill();
    await expectNothingLeft(net);
  });
}, 60_000);

test("a state that asks for nothing is a success, one that makes no sense is not", async () => {
  await withNamespaces(stage(), { asRoot: true }, async (net) => {
    expect(await give(net, JSON.stringify({ ...STATE, status: "paused", pid: 1 }))).toBe("status 0\n");
    expect(await give(net, JSON.stringify({ ...STATE, status: "creating" }))).toBe("status 0\n");
    expect(await give(net, "")).toContain("to be started by an OCI runtime\nstatus 2\n");
    const gone = JSON.stringify({ ...STATE, status: "creating", pid: 4_000_000 });
    expect(await give(net, gone)).toContain("status 3\n");
    await expectNothingLeft(net);
  });
}, 60_000);

/** Starts a container that tells its clients their addresses, and waits until it does. */
const serve = (runtime: string, id: string): string => `
  { ${runtime} create ${id} > $TMPDIR/${id}.log 2>&1 < /dev/null && ${runtime} start ${id}; } ||
    { cat $TMPDIR/${id}.log; exit 1; }
  until grep -q serving $TMPDIR/${id}.log; do sleep 0.02; done`;

const PORTS = { "org.bucatini.publish": "8080:80/tcp,198.51.100.2:8081:80,5300-5301:53-54/udp" };

async function askAll(net: Network): Promise<void> {
  for (const { outside, peer } of FAMILIES) {
    expect(await askAddress(net.peer, "tcp", outside, 8080)).toBe(`tcp ${peer}`);
    expect(await askAddress(net.peer, "udp", outside, 5300)).toBe(`udp ${peer}`);
  }
  expect(await askAddress(net.peer, "tcp", "198.51.100.2", 8081)).toBe("tcp 203.0.113.1");
}

test.each(RUNTIME_NAMES.flatMap((name) => [true, false].map((asRoot) => ({ name, asRoot }))))(
  "$name, root of the machine $asRoot: published ports, through restart and kill -9",
  async ({ name, asRoot }) => {
    await withNamespaces(stage(), { asRoot }, async (net) => {
      const runtime = RUNTIMES[name];
      const bundle = { script: TELL_ADDRESSES, annotations: PORTS };
      await inBundle(net, bundle, serve(runtime, "c1"));
      await askAll(net);
      // The next container has the ports at once.
      const work = "cd $TMPDIR/scratch; ";
      await net.outside.run(`${work} ${runtime} delete --force c1; ${serve(runtime, "c1")}`);
      await askAll(net);
      const pid = `$(${stage().bucatini} list --json | grep -o '"pid": [0-9]*' | tail -n 1 | grep -o '[0-9]*')`;
      await net.outside.run(`kill -9 ${pid}; ${work} ${serve(runtime, "c2")}`);
      await askAll(net);
      await net.outside.run(`${runtime} delete --force c1; ${runtime} delete --force c2`);
      expect(await net.outside.run(`${stage().bucatini} list | tail -n +2; ss -Hlntu`)).toBe("");
      await net.outside.run("rm -rf $TMPDIR/*");
      await expectNothingLeft(net);
    });
  },
  60_000,
);

test.each(RUNTIME_NAMES)(
  "%s: resolv.conf is written where the container finds it, unless something is mounted there",
  async (name) => {
    await withNamespaces(stage(), { asRoot: false }, async (net) => {
      await startDnsmasq(
        net.peer,
        FAMILIES.map((family) => family.peer),
      );
      const annotations = { "org.bucatini.resolv-conf": "true" };
      const script = "cat /etc/resolv.conf; nslookup www.test; ls -l /etc/resolv.conf";
      const run = `${RUNTIMES[name]} run c1 < /dev/null 2>&1 || echo "status $?"`;
      for (const readonlyRoot of [false, true]) {
        const output = await inBundle(net, { script, annotations, readonlyRoot }, run);
        expect(output).toMatch(/^nameserver 169\.254\.1\.1$/m);
        expect(output).toContain("192.0.2.7");
        expect(output).toContain("-rw-r--r--");
      }
      const mounts = [
        { destination: "/etc/resolv.conf", type: "bind", source: "/dev/null", options: ["bind"] },
      ];
      const output = await inBundle(net, { script: "echo started", annotations, mounts }, run);
      expect(output).toContain("status");
      expect(output).not.toMatch(/^started$/m);
      await net.outside.run("rm -rf $TMPDIR/*");
      await expectNothingLeft(net);
    });
  },
  60_000,
);

test.each([true, false])(
  "a hook that is killed leaves no process and no interface, root of the machine %s",
  async (asRoot) => {
    await withNamespaces(stage(), { asRoot }, async (net) => {
      const hook = `${stage().dir}/dist/hooks/bucatini-oci-hook`;
      for (const ms of [60, 90, 120, 150, 180, 210]) {
        const { pid, holder } = await hold(net);
        const input = JSON.stringify({ ...STATE, status: "created", pid });
        const { heldOpen } = await net.outside.attempt(`env -i timeout -s KILL ${ms / 1000} ${hook}`, {
          input,
        });
        expect(heldOpen).toBe(false);
        // What the runtime does next.
        await holder.kill();
        // Files of a start that was broken off go when somebody looks.
        await net.outside.run(`until [ "$(${stage().bucatini} list | wc -l)" = 1 ]; do sleep 0.02; done`);
        await expectNothingLeft(net);
      }
    });
  },
  60_000,
);

test("the engine is found again without XDG_RUNTIME_DIR, and by the person who has it", async () => {
  await withNamespaces(stage(), { asRoot: false }, async (net) => {
    const { pid, holder } = await hold(net);
    expect(await give(net, JSON.stringify({ ...STATE, status: "created", pid }))).toBe("status 0\n");
    const list = await net.outside.run(`${stage().bucatini} list --json`);
    expect(JSON.parse(list)[0].directory).toMatch(new RegExp(`^/run/user/${stage().uid}/bucatini/c4-`));
    const stopped = JSON.stringify({ ...STATE, status: "stopped", annotations: { "org.bucatini": "false" } });
    expect(await give(net, stopped)).toBe("status 0\n");
    expect(JSON.parse(await net.outside.run(`${stage().bucatini} list --json`))).toHaveLength(1);
    expect(await give(net, JSON.stringify({ ...STATE, status: "stopped" }))).toBe("status 0\n");
    expect(JSON.parse(await net.outside.run(`${stage().bucatini} list --json`))).toEqual([]);
    await holder.kill();
    await expectNothingLeft(net);
  });
}, 60_000);
