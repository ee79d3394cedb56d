/** The commands as a person types them: starting, finding and ending engines. */
import { describe, expect, test } from "@jest/globals";
import { symlinkSync } from "node:fs";
import { join } from "node:path";
import { expectNothingLeft, withNamespaces, type Network } from "../support/network.ts";
import { prelude } from "../support/prelude.ts";
import type { Space } from "../support/space.ts";
import { useStage } from "../support/stage.ts";

const stage = useStage();

/** Runs a script in namespaces of its own and checks that nothing is left of what it started. */
async function script(where: (net: Network) => Space, text: string): Promise<string> {
  let output = "";
  await withNamespaces(stage(), {}, async (net) => {
    output = await where(net).run(`${prelude(stage())}\nset -e\n${text}`);
    await expectNothingLeft(net);
  });
  return output;
}

const USERS = [
  { who: "an ordinary user", where: (net: Network) => net.user },
  { who: "root", where: (net: Network) => net.outside },
];

test("help describes every command, and itself", async () => {
  const output = await script(
    (net) => net.user,
    `$B help
    for C in $($B help | sed -n 's/^  \\([a-z-]*\\).*/\\1/p'); do $B help $C; done`,
  );
  expect(output).toMatch(/^bucatini broker$/m);
  expect(output).toMatch(/^bucatini tour$/m);
  expect(output).not.toMatch(/ $/m);
}, 60_000);

describe.each(USERS)("as $who", ({ where }) => {
  test("attach prints an identifier that list, status and detach take", async () => {
    const output = await script(
      where,
      `target
      ID=$($B attach $T --name web)
      echo "id $ID"
      $B list
      $B status web | grep -c '^pid: '
      $B status web | grep '^offloads: CSUM, TSO4'
      nsenter -t $T -U --preserve-credentials -n ip -br address show dev eth0
      P=$(engine)
      [ "$(readlink /proc/$P/cwd)" = / ]
      DIR=$(dirname $(readlink /proc/$P/fd/2))
      flock -n $DIR true || echo "no cleaner may have it"
      $B detach web
      gone $P
      nsenter -t $T -U --preserve-credentials -n ip -br address | grep -v ^lo || echo "no interface"
      $B list --json
      kill $T`,
    );
    expect(output).toMatch(/^id web\n/);
    expect(output).toMatch(/^web +\d+ +pid \d+ +running$/m);
    expect(output).toMatch(/^eth0 .* 198\.51\.100\.2\/24 2001:db8:1::2\/64/m);
    expect(output).toContain("no cleaner may have it\n");
    expect(output).toMatch(/no interface\n\[\]\n$/);
  }, 60_000);

  test("an engine is found by its process, and a namespace is served once, even when two try at the same time", async () => {
    const output = await script(
      where,
      `target
      ($B attach $T && echo "status 0" || echo "status $?") > one 2>&1 & ONE=$!
      ($B attach $T && echo "status 0" || echo "status $?") > two 2>&1 & TWO=$!
      wait $ONE; wait $TWO
      cat one two
      $B list --json | grep -c '"id"'
      $B detach $T
      rm one two
      kill $T`.replaceAll(/\b(one|two)\b/g, "$TMPDIR/$1"),
    );
    expect(output).toContain("status 0\n");
    expect(output).toMatch(
      /bucatini: cannot attach: this network namespace is already served by the engine \d+/,
    );
    expect(output).toMatch(/^1$/m);
  }, 60_000);

  test("the engine ends with the process it serves", async () => {
    expect(
      await script(
        where,
        'target; $B attach $T; P=$(engine); kill $T; gone $P; [ -z "$($B list | tail -n +2)" ]',
      ),
    ).toMatch(/^\d+\n$/);
  }, 60_000);

  test("the engine ends on SIGTERM", async () => {
    expect(await script(where, "target; $B attach $T; P=$(engine); kill $P; gone $P; kill $T")).toMatch(
      /^\d+\n$/,
    );
  }, 60_000);

  test("what a killed engine leaves is removed by the next command", async () => {
    const output = await script(
      where,
      "target; $B attach $T; P=$(engine); kill -KILL $P; gone $P; $B list --json; $B attach $T --name again; $B detach again; kill $T",
    );
    expect(output).toContain("[]\nagain\n");
  }, 60_000);

  test("in the foreground, attach stays, logs to stderr, and ends with the namespace", async () => {
    const output = await script(
      where,
      `target
      $B attach -f $T 2>$TMPDIR/log & A=$!
      until $B status >/dev/null 2>&1; do sleep 0.05; done
      P=$(engine)
      grep -c '"msg":"the engine is ready"' $TMPDIR/log
      kill $T
      wait $A && echo "status 0" || echo "status $?"
      gone $P
      rm $TMPDIR/log`,
    );
    expect(output).toBe("1\nstatus 0\n");
  }, 60_000);

  test.each(["TERM", "INT", "KILL"])(
    "in the foreground, SIG%s ends the engine too",
    async (signal) => {
      const output = await script(
        where,
        `target
      # A background job of a shell would ignore SIGINT.
      env --default-signal=INT $B attach -f $T 2>/dev/null & A=$!
      until $B status >/dev/null 2>&1; do sleep 0.05; done
      P=$(engine)
      kill -${signal} $A
      wait $A || echo "status $?"
      gone $P
      $B list >/dev/null
      kill $T`,
      );
      expect(output).toBe({ TERM: "status 143\n", INT: "status 130\n", KILL: "status 137\n" }[signal]);
    },
    60_000,
  );

  test("run gives back the command's status, or 128 and its signal", async () => {
    const output = await script(
      where,
      `for command in 'exit 0' 'exit 7' 'kill -TERM $$' 'kill -KILL $$'; do
        $B run -- sh -c "$command" && echo 0 || echo $?
      done
      $B run no-such-program 2>&1 || echo $?
      $B run /etc/passwd 2>&1 || echo $?`,
    );
    expect(output).toBe(
      "0\n7\n143\n137\nbucatini: cannot run no-such-program: there is no such program; check the name and PATH\n127\n" +
        'bucatini: cannot run /etc/passwd: it is no program that you may execute; see "chmod +x"\n126\n',
    );
  }, 60_000);

  test("run passes stdin, stdout and stderr, and nothing else", async () => {
    const output = await script(
      where,
      `echo in | $B run -- sh -c 'cat; echo err >&2; ls /proc/self/fd | tr "\\n" " "' 9</dev/null 2>$TMPDIR/err
      cat $TMPDIR/err; rm $TMPDIR/err`,
    );
    expect(output).toBe("in\n0 1 2 3 err\n");
  }, 60_000);

  test("run makes namespaces of every kind, with uid 0, a host name and a resolver", async () => {
    const output = await script(
      where,
      `for kind in user net mnt uts ipc pid; do readlink /proc/self/ns/$kind; done | sort > $TMPDIR/outside
      $B run --hostname box -- sh -c 'id -u; hostname; grep ^nameserver /etc/resolv.conf; ps -e -o pid= | head -n 2
        for kind in user net mnt uts ipc pid; do readlink /proc/self/ns/$kind; done | sort > $TMPDIR/inside'
      comm -12 $TMPDIR/outside $TMPDIR/inside
      $B run -6 -- grep ^nameserver /etc/resolv.conf
      $B run --dns-forward none -- cat /etc/resolv.conf | cmp - /etc/resolv.conf
      rm $TMPDIR/outside $TMPDIR/inside`,
    );
    expect(output).toBe(
      "0\nbox\nnameserver 169.254.1.1\n      1\n      2\nnameserver fd62:7563:6174:696e::53\n",
    );
  }, 60_000);

  test("signals reach the command, and everything ends with it", async () => {
    const output = await script(
      where,
      `$B run -- sh -c 'trap "echo hangup; exit 5" HUP; echo up; while :; do sleep 0.05; done' > $TMPDIR/out & R=$!
      until grep -qs up $TMPDIR/out; do sleep 0.05; done
      P=$(engine)
      kill -HUP $R
      wait $R || echo "status $?"
      cat $TMPDIR/out; rm $TMPDIR/out
      gone $P`,
    );
    expect(output).toBe("status 5\nup\nhangup\n");
  }, 60_000);

  test("when the launcher is killed, command and engine end, even if the command ignores signals", async () => {
    expect(
      await script(
        where,
        `$B run -- sh -c 'trap "" TERM HUP INT; echo $$ > $TMPDIR/up; while :; do sleep 0.05; done' & R=$!
      until [ -s $TMPDIR/up ]; do sleep 0.05; done
      P=$(engine)
      kill -KILL $R
      gone $P
      rm $TMPDIR/up
      $B list`,
      ),
    ).toMatch(/^ID /);
  }, 60_000);

  test("at a terminal, what an interrupt means is up to the command; its environment is the caller's", async () => {
    const output = await script(
      where,
      `INNER='trap "exit 5" INT; echo up; sleep 30 & wait'
      (sleep 2; printf '\\003'; sleep 1) | script -qec "exec $B run sh -c '$INNER'" /dev/null >/dev/null || echo "status $?"
      UV_THREADPOOL_SIZE=7 $B run sh -c 'echo "pool $UV_THREADPOOL_SIZE"'`,
    );
    expect(output).toBe("status 5\npool 7\n");
  }, 60_000);

  test("an interrupted start leaves nothing", async () => {
    expect(
      await script(
        where,
        `for delay in 0.05 0.1 0.15 0.2 0.25 0.3 0.4; do
        $B run -- sleep 1000 & R=$!
        sleep $delay
        kill -TERM $R 2>/dev/null || true
        wait $R || true
        target
        $B attach $T & R=$!
        sleep $delay
        kill -TERM $R 2>/dev/null || true
        wait $R || true
        kill $T
      done`,
      ),
    ).toMatch(/^(\d+\n)*$/);
  }, 120_000);
});

test("a namespace is attached by name or by path, and its removal ends the engine", async () => {
  const output = await script(
    (net) => net.outside,
    `for name in blue /run/netns/blue; do
      ip netns add blue
      $B attach --netns $name
      P=$(engine blue)
      ip -n blue -br address show dev eth0
      ip netns delete blue
      gone $P
    done
    ip netns add blue; $B attach --netns blue --ifname wan0 -4 --mtu 1280 --mac 02:00:00:00:00:07
    ip -n blue -o link show dev wan0; ip -n blue -6 -o address show dev wan0 scope global
    $B detach blue; ip netns delete blue`,
  );
  expect(output.match(/198\.51\.100\.2\/24 2001:db8:1::2\/64/g)).toHaveLength(2);
  expect(output).toMatch(/wan0: .* mtu 1280 .*link\/ether 02:00:00:00:00:07/);
  expect(output).not.toContain("inet6");
}, 60_000);

test("a container whose user is not root inside is attached through the user namespace above it", async () => {
  expect(
    await script(
      (net) => net.user,
      `unshare -Ur sh -c 'unshare -Un --map-user=1000 --map-group=1000 sleep 1000 >/dev/null 2>&1 & echo $! > $TMPDIR/pid; exec cat' <&0 &
      T=$!; until [ -s $TMPDIR/pid ]; do sleep 0.02; done; INNER=$(cat $TMPDIR/pid); rm $TMPDIR/pid; sleep 0.2
      $B attach $INNER --name nested; $B status nested | grep -c ^pid
      $B detach nested
      kill $INNER`,
    ),
  ).toBe("nested\n1\n");
}, 60_000);

test("a user namespace that is named is joined, and a wrong one refused", async () => {
  await withNamespaces(stage(), {}, async (net) => {
    const ended = await net.user.attempt(
      `${prelude(stage())}
      target
      $B attach --netns /proc/$T/ns/net --userns /proc/$T/ns/user --name named && $B detach named
      $B attach $T --userns /nonexistent; echo $?
      $B attach $T --userns /etc/passwd; echo $?`,
    );
    expect(ended.stdout).toBe("named\n3\n4\n");
    expect(ended.stderr).toMatch(
      /cannot open the user namespace \/nonexistent: it does not exist; check --userns\n/,
    );
    expect(ended.stderr).toMatch(/cannot enter the user namespace of .*Invalid argument; check --userns/);
    await expectNothingLeft(net);
  });
}, 60_000);

test("root attaches to a container of an ordinary user", async () => {
  expect(
    await script(
      (net) => net.outside,
      `unshare -U --map-user=1000 --map-group=1000 unshare -Urn sleep 1000 >/dev/null 2>&1 & T=$!
    until [ "$(readlink /proc/$T/ns/net)" != "$(readlink /proc/$$/ns/net)" ]; do sleep 0.02; done
    $B attach $T; $B status $T | grep ^pid; $B detach $T; kill $T`,
    ),
  ).toMatch(/^pid: /m);
}, 60_000);

test("the executable works through links, from any directory and with an empty environment", async () => {
  symlinkSync(stage().bucatini, join(stage().dir, "link"));
  const output = await script(
    (net) => net.user,
    `cd /
    ${stage().dir}/link version
    env -i PATH=$PATH $B version
    env -i ${process.execPath} $B version
    env -i ${process.execPath} ${stage().dir}/link run -4 -- ip -br address show dev eth0 | awk '{ print $3 }'`,
  );
  expect(output).toBe("bucatini 0.1.0\nbucatini 0.1.0\nbucatini 0.1.0\n198.51.100.2/24\n");
}, 60_000);
