/** The drop-in for pasta beside what was seen of pasta itself, in the foreground, and with a command. */
import { describe, expect, test } from "@jest/globals";
import type { Network } from "../support/network.ts";
import { NO_PORTS, pastaScript } from "../support/pasta.ts";
import type { Space } from "../support/space.ts";
import { useStage } from "../support/stage.ts";

const stage = useStage();
const script = (text: string, where?: (net: Network) => Space): Promise<string> =>
  pastaScript(stage(), text, where);

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
          "-t foo" "-m 70000" "-P /nowhere/pid" "-l /nowhere/log" "-p /nowhere/pcap" "-i nowhere --no-follow" "-F 5" "-c /x"; do
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
      "-i nowhere --no-follow",
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
