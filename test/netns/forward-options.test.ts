/** Where the host listens, and with whose permission: addresses, interfaces, privileged ports, sockets handed in. */
import { expect, test } from "@jest/globals";
import { EXIT_CODES } from "../../src/base/errors.ts";
import { EVERY_ADDRESS, inUrl } from "../support/crossings.ts";
import { FAMILIES } from "../support/families.ts";
import { expectNothingLeft, withNamespaces, withNetwork } from "../support/network.ts";
import { startLittleServers } from "../support/servers.ts";
import type { Space } from "../support/space.ts";
import { useStage } from "../support/stage.ts";

const stage = useStage();
/** An address that nobody has, in the subnet of outside. */
const LATER = { "4": "198.51.100.99", "6": "2001:db8:1::99" };

/** How a request to a little server ends. */
async function outcome(space: Space, address: string, port: number): Promise<string> {
  return (JSON.parse(await space.run(`node $T/client.mjs outcome ${address} ${port}`)) as { outcome: string })
    .outcome;
}

test.each(FAMILIES)(
  "$name only: nothing listens for the other family",
  async (family) => {
    const options = [`-${family.digit}`, "-t", "7011:11", "-T", "7013:11"];
    await withNetwork(stage(), { options }, async (net) => {
      await startLittleServers(net.container, EVERY_ADDRESS);
      await startLittleServers(net.outside, EVERY_ADDRESS);
      for (const { digit, outside, loopback } of FAMILIES) {
        const wanted = digit === family.digit ? "end" : "ECONNREFUSED";
        expect(await outcome(net.peer, outside, 7011)).toBe(wanted);
        expect(await outcome(net.outside, loopback, 7011)).toBe(wanted);
        expect(await outcome(net.container, loopback, 7013)).toBe(wanted);
      }
    });
  },
  60_000,
);

test("an address: only there", async () => {
  const options = FAMILIES.flatMap((family) => ["-t", `${inUrl(family.outside)}/7011:11`]);
  await withNetwork(stage(), { options }, async (net) => {
    await startLittleServers(net.container, EVERY_ADDRESS);
    for (const family of FAMILIES) {
      expect(await outcome(net.peer, family.outside, 7011)).toBe("end");
      expect(await outcome(net.outside, family.loopback, 7011)).toBe("ECONNREFUSED");
    }
  });
}, 60_000);

test("an interface: only through it", async () => {
  const options = ["-t", "%eth0/7011:11", "-t", "%lo/7013:11"];
  await withNetwork(stage(), { options }, async (net) => {
    await startLittleServers(net.container, EVERY_ADDRESS);
    for (const family of FAMILIES) {
      expect(await outcome(net.peer, family.outside, 7011)).toBe("end");
      expect(await outcome(net.outside, family.loopback, 7011)).toBe("ECONNREFUSED");
      expect(await outcome(net.peer, family.outside, 7013)).toBe("ECONNREFUSED");
      expect(await outcome(net.outside, family.loopback, 7013)).toBe("end");
    }
  });
}, 60_000);

test("--freebind: an address that comes later", async () => {
  const options = FAMILIES.flatMap((family) => ["-t", `${inUrl(LATER[family.digit])}/7011:11`]);
  await withNetwork(stage(), { options: ["--freebind", ...options] }, async (net) => {
    await startLittleServers(net.container, EVERY_ADDRESS);
    for (const family of FAMILIES) {
      await net.outside.run(
        `ip address add ${LATER[family.digit]} dev eth0 ${family.digit === "6" ? "nodad" : ""}`,
      );
      expect(await outcome(net.peer, LATER[family.digit], 7011)).toBe("end");
    }
  });
}, 60_000);

const REFUSALS = [
  {
    what: "a privileged port",
    words: "-t 80",
    says: /sysctl net\.ipv4\.ip_unprivileged_port_start=80/,
    code: "PORT_FORBIDDEN",
  },
  {
    what: "a privileged port of an address that is not there",
    words: `-t ${LATER["4"]}/80`,
    says: /port 80 of the host at 198\.51\.100\.99: it is privileged/,
    code: "PORT_FORBIDDEN",
  },
  {
    what: "a privileged port of an interface that is not there",
    words: "-t %eth7/80",
    says: /port 80 of the host on eth7: it is privileged/,
    code: "PORT_FORBIDDEN",
  },
  {
    what: "an address that is not there, where nothing is followed",
    words: `--no-follow -t ${LATER["4"]}/7011`,
    says: /no such address.*--freebind/,
    code: "USAGE",
  },
  {
    what: "an interface that is not there, where nothing is followed",
    words: "--no-follow -t %eth7/7011",
    says: /no such interface/,
    code: "USAGE",
  },
  {
    what: "a port out of range",
    words: "-t 70000",
    says: /^bucatini: cannot read -t: .*65535\n +70000\n +\^/,
    code: "USAGE",
  },
  {
    what: "a target that is the container's loopback",
    words: "-t 7011:127.0.0.1/11",
    says: /loopback cannot be reached/,
    code: "USAGE",
  },
  { what: "two rules for one port", words: "-t 7011 -t 7000-7020", says: /7011/, code: "USAGE" },
] as const;

test.each(REFUSALS)(
  "$what is refused, and nothing is left",
  async ({ words, says, code }) => {
    await withNamespaces(stage(), {}, async (net) => {
      const ended = await net.user.attempt(`${stage().bucatini} run ${words} -- true`);
      expect(ended.stderr).toMatch(says);
      expect(ended.code).toBe(EXIT_CODES[code]);
      expect(await net.outside.run("ss -Hlntu")).toBe("");
      await expectNothingLeft(net);
    });
  },
  60_000,
);

test("a port that is taken is refused, and its holder named", async () => {
  await withNamespaces(stage(), {}, async (net) => {
    // In one user namespace, so that one may look at the other.
    const ended = await net.user.attempt(`
      socat TCP4-LISTEN:7011 EXEC:true & HOLDER=$!
      until ss -Hlnt | grep -q :7011; do sleep 0.05; done
      ${stage().bucatini} run -t 7010-7012 -- true; STATUS=$?
      ss -Hlnt | wc -l
      kill $HOLDER; wait $HOLDER; exit $STATUS`);
    expect(ended.stderr).toMatch(/port 7011 .*socat .process \d+/);
    expect(ended.code).toBe(EXIT_CODES.PORT_IN_USE);
    expect(ended.stdout).toBe("1\n");
    await expectNothingLeft(net);
  });
}, 60_000);

test("--splice-only: the loopbacks, and nothing else", async () => {
  const options = ["--splice-only", "-t", "7011:11", "-u", "7007:7", "-T", "7013:11"];
  await withNetwork(stage(), { options }, async (net) => {
    expect(await net.container.run("ip -o link | cut -d: -f2")).toMatch(/^ lo\n$/);
    await startLittleServers(net.container, "127.0.0.1 ::1");
    await startLittleServers(net.outside, "127.0.0.1 ::1");
    for (const { loopback, outside } of FAMILIES) {
      expect(await outcome(net.outside, loopback, 7011)).toBe("end");
      expect(await outcome(net.container, loopback, 7013)).toBe("end");
      expect(await outcome(net.peer, outside, 7011)).toBe("ECONNRESET");
      const datagrams = await net.outside.run(`node $T/client.mjs datagrams ${loopback} 7007 100 1`);
      expect(JSON.parse(datagrams)).toMatchObject({ echoed: 1 });
    }
  });
}, 60_000);

/** systemd opens the privileged port, and starts bucatini as an ordinary user when the first client comes. */
test("sockets handed in by systemd are used", async () => {
  await withNamespaces(stage(), {}, async (net) => {
    const user = `unshare -U --map-user=${stage().uid} --map-group=${stage().gid}`;
    const inside = `sh -c 'exec socat TCP6-LISTEN:80,ipv6only=0,fork EXEC:"echo handed over"'`;
    const running = await net.outside.start(
      `systemd-socket-activate -l 80 -E XDG_RUNTIME_DIR=/run/user/${stage().uid} ${user} ${stage().bucatini} run -t 80 -- ${inside}`,
      { port: 80 },
    );
    const answers: string[] = [];
    for (const [index, family] of FAMILIES.entries()) {
      const command = `sleep 0.5 | socat -t 2 - TCP${family.digit}:${inUrl(family.outside)}:80`;
      // The first clients come before there is a server inside.
      for (let i = 0; i < 20 && answers.length <= index; i++) {
        const { stdout } = await net.peer.attempt(command);
        if (stdout !== "") answers.push(stdout);
      }
    }
    expect(answers).toEqual(["handed over\n", "handed over\n"]);
    await running.kill("SIGTERM");
    await expectNothingLeft(net);
  });
}, 60_000);
