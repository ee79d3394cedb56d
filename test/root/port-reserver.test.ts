/**
 * nerdctl's port reserver: a program that sleeps holds the published ports before the plugin is called (see
 * src/runtime/port-reserver.ts). The plugin forwards them all the same, and takes nobody else's.
 */
import { expect, test } from "@jest/globals";
import { expectNothingLeft, withNamespaces, type Network } from "../support/network.ts";
import { useStage } from "../support/stage.ts";

const stage = useStage();
const ID = "0123456789abcdef".repeat(4);

/**
 * Calls `body` where a server is in a namespace web, ports are held as nerdctl does for a container, and `cni VERB ID`
 * calls the plugin with mappings of host ports to port 80 or, UDP, 53.
 */
async function withReserver(
  { held, mappings, directory = `default/${ID}` }: { held: string; mappings: unknown[]; directory?: string },
  body: (script: (text: string) => Promise<string>, net: Network) => Promise<void>,
): Promise<void> {
  const { dir } = stage();
  const config = {
    cniVersion: "1.0.0",
    name: "net",
    type: "bucatini",
    runtimeConfig: { portMappings: mappings },
  };
  const prelude = `
    cni() {
      echo '${JSON.stringify(config)}' | env -i CNI_COMMAND=$1 CNI_CONTAINERID=\${2:-default-${ID}} CNI_IFNAME=eth0 \\
        CNI_NETNS=/run/netns/web ${dir}/dist/cni/bucatini
    }
    ask() { curl -gs -m 5 -o /dev/null -w '%{http_code}\\n' "http://$1/package.json" || true; }
    question() { echo question | socat -t 3 - UDP:$1 || true; }`;
  await withNamespaces(stage(), { asRoot: true }, async (net) => {
    const pidFile = `/run/nerdctl/${directory}/port-reserver.pid`;
    await net.outside.run(
      `ip netns add web; mkdir -p /run/nerdctl/${directory}; node $T/reserve.mjs ${pidFile} ${held}`,
    );
    await net.outside.start(`ip netns exec web busybox httpd -f -p 80 -h ${dir}/dist`);
    await net.outside.start("ip netns exec web socat UDP-RECVFROM:53,fork SYSTEM:'read line; echo answer'");
    await body((text) => net.outside.run(`${prelude}\n${text}`), net);
    await net.outside.run(`kill $(cat ${pidFile}); rm -r /run/nerdctl; ip netns del web`);
    await expectNothingLeft(net);
  });
}

const MAPPINGS = [
  { HostPort: 8099, ContainerPort: 80, Protocol: "tcp", HostIP: "" },
  { HostPort: 8097, ContainerPort: 80, Protocol: "tcp", HostIP: "127.0.0.1" },
  { HostPort: 8096, ContainerPort: 80, Protocol: "tcp", HostIP: "0.0.0.0" },
  { HostPort: 5399, ContainerPort: 53, Protocol: "udp", HostIP: "0.0.0.0" },
  { HostPort: 8098, ContainerPort: 80, Protocol: "tcp", HostIP: "" },
];
const HELD = "tcp:0.0.0.0:8099 tcp:127.0.0.1:8097 tcp:0.0.0.0:8096 udp:0.0.0.0:5399 tcp:0.0.0.0:9999";

test("its sockets are taken over, IPv6 is served beside them, and what is not published is left alone", async () => {
  await withReserver({ held: HELD, mappings: MAPPINGS }, async (script, net) => {
    const output = await script(`cni ADD > /run/result
      for url in 127.0.0.1:8099 198.51.100.2:8099 '[::1]:8099' 127.0.0.1:8097 127.0.0.1:8096 127.0.0.1:8098 '[::1]:8098'; do ask "$url"; done
      question 127.0.0.1:5399`);
    expect(output).toBe(`${"200\n".repeat(7)}answer\n`);
    expect(await net.peer.run("curl -s -m 5 http://198.51.100.2:8099/package.json")).toContain("commonjs");
    // The reserver's end does not matter to the engine, nor the engine's to the reserver.
    expect(await script("cni DEL; ask 127.0.0.1:8098; ss -Hlnt 'sport = :8099' | wc -l")).toBe("000\n1\n");
    expect(
      await script(`cni ADD > /run/result
      kill $(cat /run/nerdctl/default/*/port-reserver.pid)
      ask 127.0.0.1:8099; cni DEL; ask 127.0.0.1:8099
      sleep 1000 > /dev/null 2>&1 & echo $! > /run/nerdctl/default/${ID}/port-reserver.pid`),
    ).toBe("200\n000\n");
    await net.outside.run("rm /run/result");
  });
}, 60_000);

test.each([
  { whose: "another container", directory: `default/${"f".repeat(64)}`, id: `default-${ID}` },
  { whose: "another namespace", directory: `k8s/${ID}`, id: `default-${ID}` },
  { whose: "a container of another caller", directory: `default/${ID}`, id: "default-short" },
])(
  "sockets reserved for $whose are in use, and their holder is named",
  async ({ directory, id }) => {
    await withReserver({ held: HELD, mappings: MAPPINGS, directory }, async (script) => {
      const error: unknown = JSON.parse(await script(`! cni ADD ${id}`));
      expect(error).toMatchObject({ msg: expect.stringMatching(/port 8099.*sleep \(process \d+\)/) });
    });
  },
  60_000,
);

test("a process that is no reserver keeps its sockets", async () => {
  await withReserver({ held: HELD, mappings: MAPPINGS }, async (script) => {
    const error: unknown = JSON.parse(
      await script(`file=/run/nerdctl/default/${ID}/port-reserver.pid
        kill $(cat $file)
        socat TCP-LISTEN:8099,fork,bind=0.0.0.0 EXEC:cat > /dev/null 2>&1 & echo $! > $file
        until ss -Hlnt 'sport = :8099' | grep -q .; do sleep 0.05; done
        ! cni ADD`),
    );
    expect(error).toMatchObject({ msg: expect.stringMatching(/port 8099.*socat \(process \d+\)/) });
  });
}, 60_000);
