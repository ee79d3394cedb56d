/** The drop-in for pasta as Podman calls it. */
import { describe, expect, test } from "@jest/globals";
import { canonical, inUrl } from "../support/crossings.ts";
import { FAMILIES } from "../support/families.ts";
import { withNamespaces, type Network } from "../support/network.ts";
import { NO_PORTS, pastaPrelude, pastaScript } from "../support/pasta.ts";
import { createPayload, startDnsmasq, startNginx } from "../support/servers.ts";
import type { Space } from "../support/space.ts";
import { useStage } from "../support/stage.ts";

const stage = useStage();

/** What Podman says for `-p 8080:80 -p 5300-5301:53-54/udp -p 127.0.0.1:8081:80`, up to the namespace. */
const PODMAN =
  "--config-net -t 127.0.0.1/8081-8081:80-80 -t 8080-8080:80-80 -u 5300-5301:53-54 --dns-forward 169.254.1.1 " +
  "-T none -U none --no-map-gw --quiet --netns";
const LAST = "--map-guest-addr 169.254.1.2";

const script = (text: string, where?: (net: Network) => Space): Promise<string> =>
  pastaScript(stage(), text, where);

const QUIET = { status: 0, output: "", leaked: false };

test("as Podman calls it: all is there when it returns, in both directions and families", async () => {
  await withNamespaces(stage(), {}, async (net) => {
    const payload = await createPayload(stage(), "payload", 100_000);
    await startNginx(net);
    await startDnsmasq(
      net.peer,
      FAMILIES.map(({ peer }) => peer),
    );
    const started = await net.outside.run(`${pastaPrelude(stage())}
      netns red
      $C once $P ${PODMAN} /run/netns/red ${LAST}
      inside red ip -o address show eth0
      inside red ip link show eth0
      inside red ip route show
      inside red ip -6 route show default
      ss -Hlntu | awk '{ print $1, $5 }' | sort
      E=$(engine)
      readlink /proc/$E/cwd /proc/$E/fd/0 /proc/$E/fd/1
      [ $(cut -d' ' -f6 /proc/$E/stat) = $E ] && echo "session of its own"
      $B list | tail -n +2`);
    expect(JSON.parse(started.split("\n")[0] ?? "")).toEqual(QUIET);
    expect(started).toMatch(/inet 198\.51\.100\.2\/24 /);
    expect(started).toMatch(/inet6 2001:db8:1::2\/64 .*nodad/);
    expect(started).toContain("mtu 65520");
    expect(started).toMatch(/^default via 198\.51\.100\.1 dev eth0/m);
    expect(started).toMatch(/^default via 2001:db8:1::1 dev eth0/m);
    expect(started).toContain("tcp *:8080\ntcp 127.0.0.1:8081\nudp *:5300\nudp *:5301\n");
    expect(started).toContain("/\n/dev/null\n/dev/null\nsession of its own\n");
    expect(started).toMatch(/^red +\d+ +\/run\/netns\/red +running$/m);

    const host = "socat TCP-LISTEN:9,bind=198.51.100.2,fork,reuseaddr SYSTEM:'echo host'";
    await net.outside.start(host, { port: 9 });
    const enter = "nsenter --net=/run/netns/red";
    const serve = "fork,reuseaddr SYSTEM:'read line; echo from $SOCAT_PEERADDR'";
    for (const listen of [
      "TCP4-LISTEN:80,",
      "TCP6-LISTEN:80,ipv6only,",
      "UDP4-LISTEN:53,",
      "UDP6-LISTEN:53,ipv6only,",
    ]) {
      await net.outside.start(`${enter} socat -dd ${listen}${serve}`, { says: "listening on" });
    }
    for (const { peer, peerHost, outside } of FAMILIES) {
      const fetch = `${enter} curl --silent --fail --max-time 10 http://${peerHost}/payload | sha256sum`;
      expect((await net.outside.run(fetch)).trim()).toBe(payload);
      for (const to of [`TCP:${inUrl(outside)}:8080`, `UDP:${inUrl(outside)}:5300`]) {
        const answer = await net.peer.run(`echo hello | socat -t 1 - ${to}`);
        expect(canonical(answer.trim().replace("from ", ""))).toBe(peer);
      }
    }
    const others = await net.outside.run(`${enter} dig +short +time=3 +tries=1 @169.254.1.1 www.test A
      ${enter} socat -t 5 - TCP:169.254.1.2:9 </dev/null
      ip netns delete red`);
    expect(others).toBe("192.0.2.7\nhost\n");
    await net.outside.run(
      "until [ -z \"$(ss -Hlntu 'sport = :8080 or sport = :5300')\" ]; do sleep 0.02; done",
    );
  });
}, 60_000);

test("a restart 11 ms after the namespace went finds the ports free", async () => {
  const count = 8;
  const output = await script(`
    for i in $(seq ${count}); do netns $i; done
    $C restart /run/netns ${count} $P ${PODMAN.replace("--netns", "")} ${LAST} --netns
    forget ${count}`);
  const called = { ...QUIET, addresses: "198.51.100.2/24 2001:db8:1::2/64" };
  expect(
    output
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line)),
  ).toEqual(Array.from({ length: count }, () => called));
}, 60_000);

test("ports of an engine that begins to leave only when the next one has started are waited for", async () => {
  const output = await script(`
    netns red; netns blue
    $P ${PODMAN} red ${LAST}
    SLOW=$(engine)
    kill -STOP $SLOW
    $C once $P ${PODMAN} /run/netns/blue ${LAST} >$TMPDIR/called & CALLED=$!
    until $B list | grep -q ^blue; do :; done
    forget red
    # It fails, finds out who is in its way, and asks that one to end.
    until ss -Hxl | grep -q '^u_str *LISTEN *[1-9].*/red/control.sock'; do :; done
    kill -CONT $SLOW
    wait $CALLED
    cat $TMPDIR/called
    rm $TMPDIR/called
    forget blue`);
  expect(JSON.parse(output)).toEqual(QUIET);
}, 60_000);

test("the network of bridges: a PID file, SIGTERM, and once more on the same namespace", async () => {
  const start = `$C once $P --config-net --pid $TMPDIR/conn.pid --dns-forward 169.254.1.1 ${NO_PORTS} --no-map-gw --quiet --netns /run/netns/red ${LAST}`;
  const output = await script(`
    netns red
    ${start}
    stat -c %a $TMPDIR/conn.pid
    PID=$(cat $TMPDIR/conn.pid)
    [ $(engine) = $PID ] && kill -0 $PID
    kill -9 $PID; gone $PID
    inside red ip -br link | grep -v ^lo || echo "no interface"
    ${start}
    PID=$(cat $TMPDIR/conn.pid)
    inside red ip -br address show eth0
    kill -TERM $PID; gone $PID
    [ "$(cat $TMPDIR/conn.pid)" = $PID ] && echo "still there"
    rm $TMPDIR/conn.pid
    forget red`);
  const quiet = JSON.stringify(QUIET);
  expect(output).toMatch(
    new RegExp(
      `^${quiet}\\n600\\nno interface\\n${quiet}\\neth0 .*198\\.51\\.100\\.2/24.*\\nstill there\\n$`,
    ),
  );
}, 60_000);

describe("the namespace of a process", () => {
  test.each([
    ["as builds name it", "-n", "--netns /proc/$T/ns/net"],
    ["by its number", "-n", "$T"],
    ["with a user namespace below ours", "-Urn", "--netns /proc/$T/ns/net"],
    ["with a user namespace below ours, by its number", "-Urn", "$T"],
  ])(
    "%s",
    async (_, made, target) => {
      const enter = made === "-n" ? "-n" : "-U -n --preserve-credentials";
      const output = await script(`
        target ${made}
        $C once $P --config-net ${NO_PORTS} --quiet ${target}
        nsenter -t $T ${enter} ip -br address show eth0
        E=$(engine)
        kill $T; gone $E`);
      expect(output).toMatch(/^\{"status":0,"output":"","leaked":false\}\neth0 .*198\.51\.100\.2\/24/);
    },
    60_000,
  );

  test("of an ordinary user, whose user namespace is joined, unless that is forbidden", async () => {
    const output = await script(
      `
      target -Urn
      says $P --netns-only $T
      says $P -t none -u 80 $T
      says $P --quiet --config-net ${NO_PORTS} $T
      nsenter -t $T -U -n --preserve-credentials ip -br address show eth0
      E=$(engine)
      kill $T; gone $E`,
      (net) => net.user,
    );
    expect(output).toContain(
      "pasta: Listen failed for HOST UDP port */80: Permission denied\npasta: Couldn't listen on requested ports: ",
    );
    expect(output).toMatch(
      /^pasta: may not enter .*--netns-only.*\nstatus 1\n[^]*\nstatus 1\nstatus 0\neth0 .*198\.51\.100\.2\/24/,
    );
  }, 60_000);
});

test("kill -9 of whoever called leaves the engine with its namespace, and nothing after it", async () => {
  const output = await script(`
    for delay in 0.02 0.05 0.1 0.15 0.2 0.3; do
      netns red
      $P ${PODMAN} red ${LAST} & CALLER=$!
      sleep $delay
      kill -9 $CALLER 2>/dev/null || true
      wait $CALLER || true
      forget red
    done
    # One that is just starting finds out when it is to say that it is ready.
    until [ -z "$($B list | tail -n +2)" ]; do sleep 0.02; done
    ss -Hlntu`);
  expect(output).toBe("");
}, 60_000);

test("a path is one from where the caller is", async () => {
  const output = await script(`
    netns red
    (cd /run && says $P --config-net ${NO_PORTS} --quiet --netns ./netns/red)
    E=$(engine)
    forget red; gone $E`);
  expect(output).toBe("status 0\n");
}, 60_000);

test("a PID file tells a number, or is not there, whenever the start is ended", async () => {
  const output = await script(`
    netns red
    for delay in 0.06 0.08 0.1 0.12 0.14 0.16 0.18; do
      $P --config-net ${NO_PORTS} --quiet --netns red --pid /run/tmp/pid & CALLER=$!
      sleep $delay
      kill $CALLER 2>/dev/null || true
      wait $CALLER || true
      [ ! -e /run/tmp/pid ] || { kill $(cat /run/tmp/pid); gone $(cat /run/tmp/pid); rm /run/tmp/pid; }
    done
    until [ -z "$($B list | tail -n +2)" ]; do sleep 0.02; done
    forget red`);
  expect(output).toBe("");
}, 60_000);
