/** Ports wait for addresses, interfaces and families that the host does not have yet, or not any more. */
import { expect, test } from "@jest/globals";
import type { PortsResult } from "../../src/config/control-types.ts";
import { cniScript, documents, words } from "../support/cni.ts";
import { inUrl } from "../support/crossings.ts";
import { eventually } from "../support/eventually.ts";
import { FAMILIES } from "../support/families.ts";
import { withNamespaces, type Network } from "../support/network.ts";
import { pastaScript } from "../support/pasta.ts";
import { startLittleServers } from "../support/servers.ts";
import type { Space } from "../support/space.ts";
import { useStage } from "../support/stage.ts";

const stage = useStage();
/** Addresses that nobody has, in the subnets of outside. */
const LATER = { "4": "198.51.100.99", "6": "2001:db8:1::99" };
/** An interface to the router beside eth0. */
const MAKE_WG0 = `ip link add wg0 type veth peer name far-wg0 netns router
  ip link set wg0 up
  ip address add 2001:db8:3::2/64 dev wg0 nodad
  nsenter --net=/run/netns/router sh -ec 'ip link set far-wg0 up; ip address add 2001:db8:3::1/64 dev far-wg0 nodad'`;
const WG0 = "2001:db8:3::2";

/** What inside answers to everybody by TCP at port 80. */
async function serve(net: Network): Promise<void> {
  await net.container.run("mkdir -p $T/www && echo inside > $T/www/index.html");
  await net.container.start("busybox httpd -f -p 80 -h $T/www", { port: 80 });
}

/** It echoes datagrams, from one address only, also where there are several. */
const serveDatagrams = (net: Network): Promise<unknown> =>
  startLittleServers(net.container, FAMILIES.map(({ outside }) => outside).join(" "));

/** What a client gets, empty for nothing. */
async function get(space: Space, address: string, port: number): Promise<string> {
  return (await space.attempt(`curl -s -m 2 http://${inUrl(address)}:${port}/`)).stdout.trim();
}

async function ask(space: Space, address: string, port: number): Promise<string> {
  return (await space.attempt(`echo inside | socat -t 0.5 - UDP:${inUrl(address)}:${port}`)).stdout.trim();
}

/** Waits for the answer, or for none. */
const reaches = (space: Space, address: string, port: number, wanted = "inside"): Promise<string> =>
  eventually(
    () => get(space, address, port),
    (answer) => answer === wanted,
  );

/** The states of rules in their order, with what they wait for or what is wrong. */
async function states(net: Network): Promise<string[]> {
  const answer = JSON.parse(await net.user.run(`${net.stage.bucatini} ports --json`)) as PortsResult;
  return answer.rules.map(({ state, waitsFor, error }) =>
    [state, waitsFor ?? error?.code].filter((each) => each !== undefined).join(" "),
  );
}

const becomes = (net: Network, wanted: readonly string[]): Promise<string[]> =>
  eventually(
    () => states(net),
    (found) => found.join() === wanted.join(),
  );

test("an address that comes after the start, goes and comes back", async () => {
  const options = FAMILIES.flatMap(({ digit, outside }) => {
    const at = inUrl(LATER[digit]);
    return ["-t", `${at}/7080:80`, "-u", `${at}/7053:${inUrl(outside)}/7`];
  });
  await withNamespaces(stage(), {}, async (net) => {
    await net.startContainer(options);
    await serve(net);
    await serveDatagrams(net);
    const waiting = [LATER[4], LATER[6], LATER[4], LATER[6]].map((address) => `waiting ${address}`);
    expect(await states(net)).toEqual(waiting);
    expect(await net.outside.run("ss -Hlntu '( sport = :7080 or sport = :7053 )'")).toBe("");
    const status = JSON.parse(await net.user.run(`${net.stage.bucatini} status --json`)) as object;
    expect(status).toMatchObject({ ports: { rules: 4, open: 0, waitsFor: [LATER[4], LATER[6]] } });
    for (const round of ["first", "again"]) {
      for (const { digit } of FAMILIES) {
        const address = LATER[digit];
        await net.outside.run(`ip address add ${address} dev eth0 ${digit === "6" ? "nodad" : ""}`);
        expect([round, await reaches(net.peer, address, 7080)]).toEqual([round, "inside"]);
        expect(await ask(net.peer, address, 7053)).toBe("inside");
      }
      expect(await states(net)).toEqual(Array.from({ length: 4 }, () => "listening"));
      for (const { digit } of FAMILIES) {
        await net.outside.run(`ip address delete ${LATER[digit]}/${digit === "6" ? 128 : 32} dev eth0`);
      }
      expect(await becomes(net, waiting)).toEqual(waiting);
      expect(await net.outside.run("ss -Hlnt 'sport = :7080'")).toBe("");
    }
    await net.stopContainer();
  });
}, 60_000);

test("an interface that is made after the start, and made anew", async () => {
  await withNamespaces(stage(), {}, async (net) => {
    await net.startContainer(["-t", "%wg0/7080:80", "-u", `%wg0/7053:${inUrl(FAMILIES[1].outside)}/7`]);
    await serve(net);
    await serveDatagrams(net);
    const waiting = ["waiting the interface wg0", "waiting the interface wg0"];
    expect(await states(net)).toEqual(waiting);
    await net.outside.run(MAKE_WG0);
    expect(await reaches(net.router, WG0, 7080)).toBe("inside");
    expect(await ask(net.router, WG0, 7053)).toBe("inside");
    // Through it only.
    expect(await get(net.peer, FAMILIES[0].outside, 7080)).toBe("");
    // As a VPN does that starts again.
    await net.outside.run(`ip link delete wg0\n${MAKE_WG0}`);
    expect(await reaches(net.router, WG0, 7080)).toBe("inside");
    expect(await ask(net.router, WG0, 7053)).toBe("inside");
    await net.outside.run("ip link set wg0 down; ip link set wg0 name wg1");
    expect(await becomes(net, waiting)).toEqual(waiting);
    await net.stopContainer();
  });
}, 60_000);

test("IPv6 comes after IPv4: what listens everywhere is there, what names an address follows", async () => {
  const [v4, v6] = FAMILIES;
  await withNamespaces(stage(), {}, async (net) => {
    await net.outside.run("ip -6 address flush dev eth0 scope global");
    await net.startContainer(["-t", "7080:80", "-t", `${inUrl(v6.outside)}/7081:80`]);
    await serve(net);
    expect(await reaches(net.peer, v4.outside, 7080)).toBe("inside");
    expect(await states(net)).toEqual(["listening", `waiting ${v6.outside}`]);
    await net.outside.run(`ip address add ${v6.outside}/64 dev eth0 nodad
      ip -6 route replace default via 2001:db8:1::1`);
    for (const port of [7080, 7081]) expect(await reaches(net.peer, v6.outside, port)).toBe("inside");
    expect(await states(net)).toEqual(["listening", "listening"]);
    await net.stopContainer();
  });
}, 60_000);

const listeners = (net: Network): Promise<string> =>
  net.outside.run("ss -Hlnt | awk '{ print $4 }' | grep 708 | sort | tr '\\n' ' '");

const listensOn = (net: Network, wanted: string): Promise<string> =>
  eventually(
    () => listeners(net),
    (found) => found === wanted,
  );

test("a family that the MTU keeps off is listened on once there is room, and not any more without", async () => {
  const [, v6] = FAMILIES;
  await withNamespaces(stage(), {}, async (net) => {
    await net.outside.run("ip link set eth0 mtu 1200");
    await net.startContainer(["-t", "7080:80", "-t", "[::]/7081:80"]);
    await serve(net);
    expect(await states(net)).toEqual(["listening", "waiting IPv6"]);
    expect(await listeners(net)).toBe("0.0.0.0:7080 ");
    await net.outside.run(`ip link set eth0 mtu 1500
      ip address add ${v6.outside}/64 dev eth0 nodad; ip -6 route replace default via 2001:db8:1::1`);
    expect(await listensOn(net, "*:7080 [::]:7081 ")).toBe("*:7080 [::]:7081 ");
    for (const port of [7080, 7081]) expect(await reaches(net.peer, v6.outside, port)).toBe("inside");
    await net.outside.run("ip link set eth0 mtu 1200");
    expect(await listensOn(net, "0.0.0.0:7080 ")).toBe("0.0.0.0:7080 ");
    expect(await reaches(net.peer, FAMILIES[0].outside, 7080)).toBe("inside");
    await net.stopContainer();
  });
}, 60_000);

test("a port that somebody has when the address comes is told, and taken over when it is free", async () => {
  await withNamespaces(stage(), {}, async (net) => {
    await net.startContainer(["-t", `${LATER[4]}/7080:80`]);
    await serve(net);
    const other = await net.outside.start(
      `socat TCP4-LISTEN:7080,bind=${LATER[4]},freebind,reuseaddr,fork EXEC:'echo other'`,
      { port: 7080 },
    );
    await net.outside.run(`ip address add ${LATER[4]} dev eth0`);
    expect(await becomes(net, ["failed PORT_IN_USE"])).toEqual(["failed PORT_IN_USE"]);
    expect(await net.peer.run(`socat -t 1 - TCP:${LATER[4]}:7080 </dev/null`)).toBe("other\n");
    await other.kill();
    expect(await reaches(net.peer, LATER[4], 7080)).toBe("inside");
    expect(await states(net)).toEqual(["listening"]);
    await net.stopContainer();
  });
}, 60_000);

test("the command line says what is waited for", async () => {
  await withNamespaces(stage(), {}, async (net) => {
    const B = net.stage.bucatini;
    const started = await net.user.attempt(`${B} run -t ${LATER[4]}/7080-7081 -- true`);
    expect(started).toMatchObject({
      code: 0,
      stderr: `bucatini: waiting for ${LATER[4]}: until it is there, -t ${LATER[4]}/7080-7081 cannot be reached\n`,
    });
    await net.startContainer(["--name", "web"]);
    const added = await net.user.attempt(`${B} ports add web -t 7082 -t %wg0/7080 -u %wg0/7080`);
    expect(added).toMatchObject({
      code: 0,
      stderr:
        "bucatini: waiting for the interface wg0: until it is there, -t %wg0/7080 and 1 more cannot be reached\n",
    });
    const shown = await net.user.run(`${B} ports web`);
    expect(shown).toMatch(/^-t 7082 +listening +1 *$/m);
    expect(shown).toMatch(/^-t %wg0\/7080 +waiting +0 +waiting for the interface wg0$/m);
    expect(await net.user.run(`${B} status web`)).toMatch(/^ports:\n[^]*? +waitsFor: the interface wg0$/m);
    const refused = await net.user.attempt(`${B} ports add web -t %wg0/80`);
    expect(refused.stderr).toContain("it is privileged");
    expect(await states(net)).toHaveLength(3);
    await net.stopContainer();
  });
}, 60_000);

test("so does the CNI plugin, and it connects the container all the same", async () => {
  const mappings = [{ hostPort: 7080, containerPort: 80, hostIP: LATER[4] }];
  const config = {
    cniVersion: "1.1.0",
    name: "net",
    type: "bucatini",
    runtimeConfig: { portMappings: mappings },
  };
  const output = await cniScript(
    stage(),
    `container
    C='${JSON.stringify(config)}'
    cni ADD 2>&1
    $B ports | tail -1
    ip address add ${LATER[4]} dev eth0
    until ss -Hlnt | grep -q '${LATER[4]}:7080'; do sleep 0.05; done
    $B ports | tail -1
    cni DEL
    kill $T`,
  );
  expect(documents(output)).toHaveLength(1);
  const [note, added, waiting, listening] = words(output).split("\n");
  expect(note).toBe(
    `bucatini: waiting for ${LATER[4]}: until it is there, -t ${LATER[4]}/7080:80 cannot be reached`,
  );
  expect(added).toBe("ADD 0");
  expect(waiting).toMatch(/waiting +0 +waiting for 198\.51\.100\.99$/);
  expect(listening).toMatch(/listening +1/);
}, 60_000);

test("so does the drop-in for pasta; with --no-follow it says what pasta does", async () => {
  const output = await pastaScript(
    stage(),
    `
    says $P --config-net -t none -t ${LATER[4]}/7080:80 --quiet -- true
    says $P --config-net --no-follow -t ${LATER[4]}/7080:80 -- true`,
  );
  expect(output).toMatch(
    /^pasta: waiting for 198\.51\.100\.99: [^\n]*\nstatus 0\npasta: Listen failed for HOST TCP port 198\.51\.100\.99\/7080: Cannot assign requested address\n[^]*status 1\n$/,
  );
}, 60_000);
