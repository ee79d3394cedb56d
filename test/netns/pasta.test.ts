/** The drop-in for pasta as Podman calls it, and beside what was seen of pasta itself. */
import { describe, expect, test } from "@jest/globals";
import { canonical, inUrl } from "../support/crossings.ts";
import { FAMILIES } from "../support/families.ts";
import { expectNothingLeft, withNamespaces, type Network } from "../support/network.ts";
import { GONE } from "../support/prelude.ts";
import { createPayload, startDnsmasq, startNginx } from "../support/servers.ts";
import type { Space } from "../support/space.ts";
import { useStage } from "../support/stage.ts";

const stage = useStage();

const NO_PORTS = "-t none -u none -T none -U none";
/** What Podman says for `-p 8080:80 -p 5300-5301:53-54/udp -p 127.0.0.1:8081:80`, up to the namespace. */
const PODMAN =
  "--config-net -t 127.0.0.1/8081-8081:80-80 -t 8080-8080:80-80 -u 5300-5301:53-54 --dns-forward 169.254.1.1 " +
  "-T none -U none --no-map-gw --quiet --netns";
const LAST = "--map-guest-addr 169.254.1.2";

/**
 * Shell functions. `P` is the drop-in and `B` the command line; `netns NAME` makes a namespace below /run/netns, `forget
 * NAME` unmounts and removes it; `inside NAME` runs a command in it; `target` starts a process in a namespace of its own,
 * whose number is T; `gone PID` waits for the end of a process.
 */
const prelude = (): string => `
  P=${stage().dir}/dist/bin/pasta
  B=${stage().bucatini}
  C="node ${stage().dir}/pasta-caller.mjs"
  T=
  trap '[ -z "$T" ] || kill $T 2>/dev/null || true' EXIT
  netns() { ip netns add $1; }
  forget() { ip netns delete $1; }
  inside() { name=$1; shift; nsenter --net=/run/netns/$name "$@"; }
  target() { unshare "$@" sleep 1000 >/dev/null 2>&1 & T=$!; until [ "$(readlink /proc/$T/ns/net)" != "$(readlink /proc/$$/ns/net)" ]; do sleep 0.02; done; }
  engine() { $B status --json "$@" | sed -n 's/^  "pid": \\([0-9]*\\),/\\1/p'; }
${GONE}
  says() { "$@" 2>&1 && echo "status 0" || echo "status $?"; }
  `;

/** Runs a script in namespaces of its own and checks that nothing is left of what it started. */
async function script(text: string, where = (net: Network): Space => net.outside): Promise<string> {
  let output = "";
  await withNamespaces(stage(), {}, async (net) => {
    output = await where(net).run(`${prelude()}\nset -e\n${text}`, { seconds: 60 });
    await expectNothingLeft(net);
  });
  return output;
}

const QUIET = { status: 0, output: "", leaked: false };

test("as Podman calls it: all is there when it returns, in both directions and families", async () => {
  await withNamespaces(stage(), {}, async (net) => {
    const payload = await createPayload(stage(), "payload", 100_000);
    await startNginx(net);
    await startDnsmasq(
      net.peer,
      FAMILIES.map(({ peer }) => peer),
    );
    const started = await net.outside.run(`${prelude()}
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
    expect(started).toMatch(/^red +\d+ +\/run\/netns\/red +eth0 /m);

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

describe("beside pasta", () => {
  const show = `inside red ip -br address; inside red ip route; inside red ip -6 route show default; forget red`;

  test("without an uplink there is local mode", async () => {
    const output = await script(
      `ip link set eth0 down; netns red; $P --config-net ${NO_PORTS} -q --netns red 2>&1; ${show}`,
    );
    expect(output).toMatch(/^tap0 .* 169\.254\.2\.1\/16 fe80::[0-9a-f:]+\/64 *$/m);
    expect(output).toMatch(/^default via 169\.254\.2\.2 dev tap0/m);
    expect(output).toMatch(/^default via fe80::1 dev tap0/m);
  }, 60_000);

  test("with an uplink of IPv4 only, IPv6 is link-local", async () => {
    const output = await script(
      `ip -6 address flush dev eth0 scope global; netns red; $P --config-net ${NO_PORTS} -q --netns red 2>&1; ${show}`,
    );
    expect(output).toMatch(/^eth0 .* 198\.51\.100\.2\/24 fe80::[0-9a-f:]+\/64 *$/m);
    expect(output).toMatch(/^default via fe80::1 dev eth0/m);
  }, 60_000);

  test("what cannot be is said in one line, and ends with 1", async () => {
    const output = await script(
      `
      netns red
      socat TCP-LISTEN:6001 - </dev/null & SOCAT=$!
      until ss -Hlnt | grep -q :6001; do sleep 0.02; done
      for words in "-t 6001" "-t 80 -t 80" "--bogus" "--quiet=1" "-a 1.2.3" "-I abcdefghijklmnopqrst" \
          "-t foo" "-m 70000" "-P /nowhere/pid" "-l /nowhere/log" "-p /nowhere/pcap" "-i nowhere" "-F 5" "-c /x"; do
        echo "== $words"
        $P --config-net -T none -U none $words --netns red >$TMPDIR/out 2>&1 && STATUS=0 || STATUS=$?
        head -n 2 $TMPDIR/out
        echo "status $STATUS"
      done
      kill $SOCAT
      rm $TMPDIR/out
      echo "== --netns nowhere"; says $P --netns nowhere
      touch $TMPDIR/file; echo "== --netns file"; says $P --netns $TMPDIR/file; rm $TMPDIR/file
      $P -q --config-net ${NO_PORTS} --netns red
      echo "== twice"; says $P -q --config-net --netns red
      forget red
    `,
    );
    const said = new Map(
      output.split(/^== /m).map((part) => {
        const [words = "", ...lines] = part.trimEnd().split("\n");
        return [words, lines];
      }),
    );
    const failure = (words: string): string => {
      const lines = said.get(words) ?? [];
      expect(lines.at(-1)).toBe("status 1");
      return lines.slice(0, -1).join("\n");
    };
    expect(failure("-t 6001")).toMatch(
      /^pasta: Listen failed for HOST TCP port \*\/6001: Address already in use\npasta: Couldn't listen on requested ports: .*socat/,
    );
    expect(failure("--bogus")).toBe(
      "pasta: unrecognized option '--bogus'\nUsage: pasta [OPTION]... [COMMAND [ARG]...]",
    );
    expect(failure("--quiet=1")).toMatch(/^pasta: option '--quiet' doesn't allow an argument\nUsage: /);
    for (const words of [
      "-t 80 -t 80",
      "-a 1.2.3",
      "-I abcdefghijklmnopqrst",
      "-m 70000",
      "-P /nowhere/pid",
      "-l /nowhere/log",
      "-p /nowhere/pcap",
      "-i nowhere",
      "-F 5",
      "-c /x",
      "--netns nowhere",
      "--netns file",
      "twice",
    ]) {
      expect([words, failure(words)]).toEqual([words, expect.stringMatching(/^pasta: .+$/)]);
    }
    expect(failure("-t foo")).toMatch(/^pasta: cannot read -t: .*\n {2}foo$/);
    expect(failure("twice")).toContain("already served by the engine red");
  }, 60_000);

  test("an MTU that is too small only warns; MAC addresses, names and addresses are as asked for", async () => {
    const output = await script(`
      netns red
      says $P --config-net ${NO_PORTS} -m 1000 --netns red
      forget red
      until [ -z "$($B list | tail -n +2)" ]; do sleep 0.02; done
      netns red
      says $P --config-net ${NO_PORTS} -I net0 --ns-mac-addr 02:00:00:00:00:07 -M 02:00:00:00:00:08 -a 198.51.100.7 -n 24 -a 2001:db8:1::7/64 -m 0 --netns red
      inside red ip address show net0
      inside red ping -c 1 -W 3 198.51.100.1 >/dev/null
      inside red ip neighbour show 198.51.100.1
      forget red`);
    expect(output).toMatch(/^pasta: an MTU of 1000 is too small for IPv6.*\nstatus 0\nstatus 0\n/);
    expect(output).toContain("mtu 1500");
    expect(output).toContain("link/ether 02:00:00:00:00:07");
    expect(output).toContain("inet 198.51.100.7/24");
    expect(output).toContain("inet6 2001:db8:1::7/64");
    expect(output).toContain("lladdr 02:00:00:00:00:08");
  }, 60_000);
});

test("in the foreground it stays as long as the namespace, and SIGTERM is no failure", async () => {
  const output = await script(`
    netns red
    $P -f -P $TMPDIR/pid --config-net ${NO_PORTS} --netns red 2>$TMPDIR/log & PID=$!
    until [ -s $TMPDIR/pid ]; do sleep 0.02; done
    [ $(cat $TMPDIR/pid) = $PID ]
    forget red
    wait $PID; echo "status $?"
    grep -c "the engine is ready" $TMPDIR/log
    netns red
    $P -f -q -P $TMPDIR/pid --config-net ${NO_PORTS} --netns red 2>$TMPDIR/log & PID=$!
    until grep -qx $PID $TMPDIR/pid; do sleep 0.02; done
    kill -TERM $PID
    wait $PID; echo "status $?"
    cat $TMPDIR/log
    inside red ip -br link | grep -v ^lo || echo "no interface"
    $P -q -P $TMPDIR/pid --no-netns-quit --config-net ${NO_PORTS} --netns red
    forget red
    $B list | tail -n +2 | grep -o ^red
    kill -0 $(cat $TMPDIR/pid) && echo "stays"
    kill $(cat $TMPDIR/pid)
    rm $TMPDIR/pid $TMPDIR/log`);
  expect(output).toBe("status 0\n1\nstatus 0\nno interface\nred\nstays\n");
}, 60_000);

describe("a command in new namespaces", () => {
  const COMMANDS: readonly (readonly [words: string, said: RegExp])[] = [
    ["-q --config-net -- sh -c 'exit 7'", /^status 7\n$/],
    ["-q -- sh -c 'kill -9 $$'", /^status 137\n$/],
    ["-- sh -c 'ip -o link show eth0 | grep -o state.DOWN'", /^state DOWN\nstatus 0\n$/],
    ["-q -H box -- hostname", /^box\nstatus 0\n$/],
    ["-q -- sh -c 'hostname; cmp /etc/resolv.conf /run/resolv.conf'", /^pasta-.+\nstatus 0\n$/],
    ["-q -- sh -c 'id -u; ls -d /proc/[0-9]* | grep -c .'", /^0\n[1-9]\nstatus 0\n$/],
    [
      "-q --no-pidns -- readlink /proc/self/ns/pid; readlink /proc/self/ns/pid",
      /^(pid:\[\d+\])\nstatus 0\n\1\n$/,
    ],
    ["nowhere", /^pasta: cannot run nowhere: there is no such program; .*\nstatus 1\n$/],
    ["-q --splice-only -- ip -br link", /^lo +UNKNOWN .*\nstatus 0\n$/],
  ];

  test("has its status, and the namespaces that are asked for", async () => {
    const output = await script(
      COMMANDS.map(([words]) => `echo "=="; says $P ${words}`).join("\n"),
      (net) => net.user,
    );
    const [, ...parts] = output.split("==\n");
    expect(parts).toEqual(COMMANDS.map(([, said]) => expect.stringMatching(said)));
  }, 60_000);

  test("is a login shell when there is none, and may learn its network from advertisements", async () => {
    const output = await script(
      `
      echo 'shopt -p login_shell; hostname' | SHELL=/bin/bash $P -q -H box 2>&1
      $P -q ${NO_PORTS} -- sh -c '
        ip link set eth0 up
        for i in $(seq 100); do ip -6 -o address show scope global | grep -q eth0 && break; sleep 0.05; done
        ip -6 -o address show scope global; ip -6 route show default'
    `,
      (net) => net.user,
    );
    expect(output).toMatch(/^shopt -s login_shell\nbox\n/);
    expect(output).toMatch(/eth0 +inet6 2001:db8:1:0:[0-9a-f:]+\/64/);
    expect(output).toMatch(/default via fe80::[0-9a-f:]+ dev eth0/);
  }, 60_000);
});

test("version and help go to stdout", async () => {
  const output = await script(`
    says $P --version
    says $P -q --version --bogus
    $P --help 2>/dev/null | head -n 1`);
  const version = /^pasta \(bucatini\) \d+\.\d+\.\d+$/;
  const lines = output.trimEnd().split("\n");
  expect([lines[0], lines[2]]).toEqual([expect.stringMatching(version), lines[0]]);
  expect(lines.slice(-1)).toEqual(["Usage: pasta [OPTION]... [COMMAND [ARG]...]"]);
}, 60_000);
