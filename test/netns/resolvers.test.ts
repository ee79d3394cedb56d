/** The host's resolvers: which of them is asked, and what happens when they change, fail or are not there. */
import { expect, test } from "@jest/globals";
import { FAMILIES } from "../support/families.ts";
import { withNamespaces, withNetwork, type Network } from "../support/network.ts";
import { startDnsmasq } from "../support/servers.ts";
import { useStage } from "../support/stage.ts";

const stage = useStage();
const [{ peer, dnsForward, blackHole }] = FAMILIES;
const RESOLVER = ["--dns-forward", dnsForward];
/** One try with the patience of most resolver libraries. */
const DIG = `dig +short +time=5 +tries=1 @${dnsForward}`;
/** Two more addresses of the peer. */
const TWO = ["203.0.113.11", "203.0.113.12"];
/** Nobody serves names there, and the router says so. */
const REFUSING = "203.0.113.2";

const naming = (...servers: string[]): string => servers.map((server) => `nameserver ${server}\n`).join("");

async function addTwo(net: Network): Promise<void> {
  await net.peer.run(TWO.map((address) => `ip address add ${address}/32 dev eth0`).join("; "));
}

/** Waits until a question is answered as it should be. */
async function becomes(net: Network, answer: string): Promise<void> {
  await net.container.run(
    `until dig +short +time=1 +tries=1 @${dnsForward} www.test | grep -qx '${answer}'; do sleep 0.05; done`,
  );
}

/** Shell function that replaces the host's resolv.conf atomically. */
const REPLACE = `replace() { echo "nameserver $1" > /etc/.resolv.conf && mv /etc/.resolv.conf /etc/resolv.conf; }`;

test("resolv.conf is replaced 100 times, and those that leave it go away: 1,000 questions are answered", async () => {
  await withNetwork(stage(), { options: RESOLVER, ownEtc: true, resolvConf: naming(TWO[0]) }, async (net) => {
    await addTwo(net);
    await startDnsmasq(net.peer, TWO);
    const questions = net.container.run(`node $T/questions.mjs ${dnsForward} 1000 10`, { seconds: 60 });
    await net.outside.run(
      `${REPLACE}
      peer() { nsenter --net=/run/netns/peer ip address "$@" dev eth0; }
      new=${TWO[1]} old=${TWO[0]}
      for i in $(seq 100); do
        peer replace $new/32
        replace $new
        sleep 0.08
        peer del $old/32
        swap=$new new=$old old=$swap
      done`,
      { seconds: 60 },
    );
    expect(await questions).toBe("1000 of 1000\n");
  });
}, 120_000);

test("a resolver that goes away before the host says so costs no answer", async () => {
  await withNetwork(stage(), { options: RESOLVER, ownEtc: true, resolvConf: naming(TWO[0]) }, async (net) => {
    await addTwo(net);
    await startDnsmasq(net.peer, TWO);
    const questions = net.container.run(`node $T/questions.mjs ${dnsForward} 200 10`, { seconds: 60 });
    await net.outside.run(
      `${REPLACE}
      sleep 0.5
      nsenter --net=/run/netns/peer ip address del ${TWO[0]}/32 dev eth0
      sleep 0.5
      replace ${TWO[1]}`,
    );
    expect(await questions).toBe("200 of 200\n");
  });
}, 60_000);

test.each([
  ["is silent", blackHole],
  ["refuses", REFUSING],
  ["is of the other family and cannot be reached", "2001:db8:2::77"],
  ["does not want to tell", TWO[0]],
])(
  "when the first resolver %s, the next one answers over UDP and TCP",
  async (_, first) => {
    const resolvConf = naming(first, TWO[1]);
    await withNetwork(stage(), { options: RESOLVER, resolvConf }, async (net) => {
      await addTwo(net);
      await startDnsmasq(net.peer, [TWO[1]]);
      if (first === TWO[0]) {
        await net.peer.start(
          `dnsmasq --no-daemon --conf-file=/dev/null --pid-file --no-resolv --no-hosts --bind-interfaces --listen-address=${first}`,
          { says: "started" },
        );
      }
      expect(await net.container.run(`${DIG} www.test`)).toBe("192.0.2.7\n");
      if (first === TWO[0]) return;
      expect(await net.container.run(`${DIG} +tcp www.test`)).toBe("192.0.2.7\n");
    });
  },
  60_000,
);

test("long answers: cut short and asked for over TCP, or whole with EDNS", async () => {
  const resolvConf = naming(REFUSING, peer);
  await withNetwork(stage(), { options: RESOLVER, resolvConf }, async (net) => {
    await startDnsmasq(net.peer, [peer], "--edns-packet-max=4096");
    const size = `${DIG} +noshort +stats long.test TXT | grep -e 'MSG SIZE' -e ';; SERVER'`;
    expect(await net.container.run(`${size} # default`)).toMatch(/\(TCP\)[^]* 20\d\d/);
    const edns = size.replace(" +stats", " +stats +notcp +ignore +bufsize=4096");
    expect(await net.container.run(edns)).toMatch(/\(UDP\)[^]* 20\d\d/);
  });
}, 60_000);

test("DNS over TLS goes to a resolver that has it", async () => {
  const resolvConf = naming(REFUSING, peer);
  await withNetwork(stage(), { options: RESOLVER, resolvConf }, async (net) => {
    await net.peer.start("socat TCP-LISTEN:853,fork,reuseaddr EXEC:cat", { port: 853 });
    expect(await net.container.run(`echo hello | socat -t 5 - TCP:${dnsForward}:853`)).toBe("hello\n");
  });
}, 60_000);

test("no resolver is said at once; one that comes, by whichever way, is asked", async () => {
  await withNetwork(stage(), { options: RESOLVER, ownEtc: true, resolvConf: "" }, async (net) => {
    await addTwo(net);
    for (const transport of ["+notcp", "+tcp"]) {
      const asked = await net.container.attempt(`timeout 4 ${DIG} ${transport} www.test`);
      expect(asked.stdout).toContain("refused");
    }
    await startDnsmasq(net.peer, [TWO[0]]);
    await net.peer.start(
      `dnsmasq --no-daemon --conf-file=/dev/null --pid-file --no-resolv --no-hosts --bind-interfaces \
        --listen-address=${TWO[1]} --host-record=www.test,192.0.2.8`,
      { says: "started" },
    );
    await net.outside.run(`mkdir /run/resolve && ln -sf ../run/resolve/stub.conf /etc/resolv.conf`);
    await net.outside.run(`echo 'nameserver ${TWO[0]}' > /run/resolve/stub.conf`);
    await becomes(net, "192.0.2.7");
    await net.outside.run(`echo 'nameserver ${TWO[1]}' > /run/resolve/other.conf
      ln -s ../run/resolve/other.conf /etc/.resolv.conf && mv -T /etc/.resolv.conf /etc/resolv.conf`);
    await becomes(net, "192.0.2.8");
    await net.outside.run(`rm /etc/resolv.conf && echo 'nameserver ${TWO[0]}' > /etc/resolv.conf`);
    await becomes(net, "192.0.2.7");
    // In place, as by hand.
    await net.outside.run(`sed -i 's/${TWO[0]}/${TWO[1]}/' /etc/resolv.conf`);
    await becomes(net, "192.0.2.8");
  });
}, 60_000);

test("the container keeps its own resolv.conf, with the search list of the host as it is", async () => {
  await withNetwork(stage(), { ownEtc: true }, async (net) => {
    const own = await net.container.run("cat /etc/resolv.conf");
    expect(own).toContain("nameserver 169.254.1.1\n");
    const changes = [
      "text > /etc/new && mv /etc/new /etc/resolv.conf",
      "rm /etc/resolv.conf && text > /etc/resolv.conf",
      "mkdir /run/resolve && text > /run/resolve/stub && ln -sf /run/resolve/stub /etc/resolv.conf",
      "text > /run/resolve/new && mv /run/resolve/new /run/resolve/stub",
      "text > /etc/resolv.conf",
    ];
    for (const [i, change] of changes.entries()) {
      await net.outside.run(`text() { printf 'nameserver 127.0.0.53\\nsearch ${i}.example\\n'; }; ${change}`);
      await net.container.run(
        `until [ "$(grep -e ^n -e ^s /etc/resolv.conf | tr '\\n' ' ')" = 'nameserver 169.254.1.1 search ${i}.example ' ]
        do sleep 0.05; done`,
      );
    }
  });
}, 60_000);

test("where no more may be watched, resolv.conf is read every few seconds, and the log says so", async () => {
  const options = { options: RESOLVER, ownEtc: true, resolvConf: naming(TWO[0]) };
  await withNamespaces(stage(), options, async (net) => {
    await addTwo(net);
    await startDnsmasq(net.peer, [TWO[1]]);
    await net.outside.run("echo 0 > /proc/sys/user/max_inotify_instances");
    await net.startContainer();
    await net.outside.run(`echo 'nameserver ${TWO[1]}' > /etc/new && mv /etc/new /etc/resolv.conf`);
    await becomes(net, "192.0.2.7");
    expect(await net.user.run("cat $XDG_RUNTIME_DIR/bucatini/*/engine.log")).toContain(
      "it is read every 5 seconds",
    );
  });
}, 60_000);
