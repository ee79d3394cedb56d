/** Ports that change while the engine runs: all or nothing, and established connections notice nothing. */
import { expect, test } from "@jest/globals";
import { EXIT_CODES } from "../../src/base/errors.ts";
import { EVERY_ADDRESS } from "../support/crossings.ts";
import { FAMILIES } from "../support/families.ts";
import { withNetwork, type Network } from "../support/network.ts";
import { startLittleServers } from "../support/servers.ts";
import { outputOf } from "../support/space.ts";
import { useStage } from "../support/stage.ts";

const stage = useStage();
const CHANGES = 1000;
const HELD = 20;
const NAME = ["--name", "web"];
const SOCKET = "$XDG_RUNTIME_DIR/bucatini/web/control.sock";
const LONG = { seconds: 60 };
const FIXED = ["-t", "7007:7", "-u", "7007:7", "-T", "7007:7"];

const loop = (host: string, port: number): string =>
  `node $T/ports-loop.mjs ${SOCKET} ${host} ${port} ${CHANGES / 2}`;

const listening = async (net: Network): Promise<string[]> => {
  const text = await net.outside.run("ss -Hlntu | awk '{ print $1, $5 }' | sed 's/ .*:/ /' | sort -u");
  return text.trim().split("\n");
};

test("1,000 changes under load: no established connection is lost, no new one refused", async () => {
  await withNetwork(stage(), { options: [...NAME, ...FIXED] }, async (net) => {
    await startLittleServers(net.container, EVERY_ADDRESS);
    await startLittleServers(net.outside, "127.0.0.1");
    const holders = await Promise.all(
      [
        { space: net.peer, to: FAMILIES[0].outside },
        { space: net.peer, to: FAMILIES[1].outside },
        { space: net.outside, to: "::1" },
        { space: net.container, to: "127.0.0.1" },
      ].map(({ space, to }) =>
        space.start(`node $T/client.mjs hold ${to} 7007 ${HELD}`, { says: "holding" }),
      ),
    );
    const loops = [
      net.outside.run(loop("::1", 7107), LONG),
      net.peer.run(loop(FAMILIES[0].outside, 7108), LONG),
    ];
    for (const text of await Promise.all(loops)) {
      expect(JSON.parse(text)).toEqual({ changes: CHANGES / 2, kept: CHANGES / 20, first: "" });
    }
    for (const holder of holders) {
      holder.child.stdin?.end();
      await outputOf(holder, '"done"');
      expect(holder.output()).toContain(`{"done":${HELD},"failed":0,"first":"",`);
    }
  });
}, 120_000);

test("show, add, del and set; what was there before stays open all the time", async () => {
  await withNetwork(stage(), { options: [...NAME, "-t", "7007:7"] }, async (net) => {
    const ports = async (words: string): Promise<string> =>
      net.user.run(`${stage().bucatini} ports ${words}`);
    await startLittleServers(net.container, EVERY_ADDRESS);
    expect(await ports("web")).toMatch(/7007/);
    await ports("add web -t 7008-7009:8-9 -u 7007:7");
    expect(await listening(net)).toEqual(["tcp 7007", "tcp 7008", "tcp 7009", "udp 7007"]);
    await ports("del web -t 7007:7");
    expect(await listening(net)).toEqual(["tcp 7008", "tcp 7009", "udp 7007"]);
    await ports("set web -t 7011:11 -u 7007:7");
    expect(await listening(net)).toEqual(["tcp 7011", "udp 7007"]);
    const shown = await ports("web --json");
    expect(JSON.parse(shown)).toMatchObject({
      rules: [
        { protocol: "tcp", first: 7011, last: 7011, targetFirst: 11, state: "listening" },
        { protocol: "udp", first: 7007, targetFirst: 7, state: "listening" },
      ],
    });
    const outcome = await net.peer.run(`node $T/client.mjs outcome ${FAMILIES[0].outside} 7011`);
    expect(JSON.parse(outcome)).toMatchObject({ outcome: "end", bytes: 4 });
  });
}, 60_000);

const MISTAKES = [
  {
    what: "a port that somebody holds",
    words: "add web -t 7100-7105",
    says: /7103.*socat/,
    code: "PORT_IN_USE",
  },
  { what: "a set with such a port", words: "set web -t 7100-7105", says: /7103.*socat/, code: "PORT_IN_USE" },
  {
    what: "a privileged port",
    words: "add web -t 7101,80",
    says: /ip_unprivileged_port_start=80/,
    code: "PORT_FORBIDDEN",
  },
  { what: "a port of another rule", words: "add web -t 7006-7008", says: /7007/, code: "USAGE" },
  {
    what: "a rule that is not there",
    words: "del web -t 7008",
    says: /there is no rule -t 7008/,
    code: "USAGE",
  },
  {
    what: "a specification that makes no sense",
    words: "add web -t 7100-7090",
    says: /7090\n +\^/,
    code: "USAGE",
  },
  { what: "an engine that is not there", words: "add nobody -t 7100", says: /nobody/, code: "NOT_RUNNING" },
] as const;

/** Runs a command while a program of the same user holds port 7103; in one user namespace, so that it may be named. */
const besideSocat = (command: string): string => `
  socat TCP6-LISTEN:7103,ipv6only=0 EXEC:true & HOLDER=$!
  until ss -Hlnt "sport = :7103" | grep -q .; do sleep 0.05; done
  ${command}; STATUS=$?
  kill $HOLDER; wait $HOLDER; exit $STATUS`;

test("what cannot be done changes nothing, and says why", async () => {
  await withNetwork(stage(), { options: [...NAME, ...FIXED] }, async (net) => {
    const before = await listening(net);
    for (const { what, words, says, code } of MISTAKES) {
      const ended = await net.user.attempt(besideSocat(`${stage().bucatini} ports ${words}`));
      expect(`${what}: ${ended.code}`).toBe(`${what}: ${EXIT_CODES[code]}`);
      expect(`${what}: ${ended.stderr}`).toMatch(says);
      expect({ what, listening: await listening(net) }).toEqual({ what, listening: before });
    }
  });
}, 60_000);

/** What no client of ours would send, and what comes of it. */
const HOSTILE: readonly (readonly [string, string])[] = [
  ["head -c 100000 /dev/urandom; echo", "bad-request"],
  ["head -c 5000000 /dev/zero | tr '\\0' x", "too-long"],
  ["printf '%200000s\\n' '' | tr ' ' '['", "bad-request"],
  [request(`"rules":[${"{},".repeat(5000)}{}]`), "bad-request"],
  [
    request(`"rules":[{"side":"host","protocol":"tcp","first":1e400,"last":-1,"targetFirst":0.5}]`),
    "bad-request",
  ],
  ['printf \'{"__proto__":{"method":"stop"}}\\n[]\\nnull\\n\\n\'', "bad-request"],
  ['printf \'{"method":"__proto__"}\\n\'', "unknown-method"],
];

function request(rules: string): string {
  return `printf '%s\\n' '{"method":"setPorts","params":{"action":"set",${rules}}}'`;
}

test("hostile requests leave the engine and its ports as they are", async () => {
  await withNetwork(stage(), { options: [...NAME, ...FIXED] }, async (net) => {
    await startLittleServers(net.container, EVERY_ADDRESS);
    const before = await listening(net);
    const connect = `socat -t 5 - UNIX-CONNECT:${SOCKET}`;
    for (const [line, code] of HOSTILE) {
      const { stdout } = await net.user.attempt(`(${line}) | ${connect}`);
      const first = JSON.parse(stdout.split("\n")[0]) as { error: { code: string } };
      expect(`${line.slice(0, 60)}: ${first.error.code}`).toBe(`${line.slice(0, 60)}: ${code}`);
    }
    // One reads no answers, and many say nothing.
    const many = `yes '{"method":"status"}' | head -n 100000`;
    await net.user.attempt(`${many} | socat -u - UNIX-CONNECT:${SOCKET}`, { seconds: 2 });
    await net.user.attempt(`for i in $(seq 40); do sleep 2 | ${connect} & done; wait`);
    expect(JSON.parse(await net.user.run(`${stage().bucatini} status --json web`))).toMatchObject({
      id: "web",
    });
    expect(await listening(net)).toEqual(before);
    const text = await net.peer.run(`node $T/client.mjs sequential ${FAMILIES[0].outside} 7007 10`);
    expect(JSON.parse(text)).toEqual({ done: 10, failed: 0, first: "" });
  });
}, 120_000);
