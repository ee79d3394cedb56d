/**
 * What an engine is when the machine's root has started it, as container runtimes do: nobody, with the one capability
 * that it needs, and the owner of nothing.
 */
import { expect, test } from "@jest/globals";
import { expectNothingLeft, withNamespaces, type Network } from "../support/network.ts";
import { useStage } from "../support/stage.ts";

const stage = useStage();

const NONE = "0000000000000000";
const NET_BIND_SERVICE = "0000000000000400";
const NOBODY = 65_534;

/** Runs `body` with a namespace web that belongs to root, and an engine web for it. */
async function withEngine(options: string, body: (net: Network) => Promise<void>): Promise<void> {
  expect(process.geteuid?.()).toBe(0);
  await withNamespaces(stage(), { asRoot: true }, async (net) => {
    const { bucatini } = net.stage;
    await net.outside.run(`ip netns add web; ${bucatini} attach --netns web --name web ${options}`);
    await body(net);
    await net.outside.run("ip netns del web");
    await expectNothingLeft(net);
  });
}

interface Thread {
  name: string;
  isInside: boolean;
  [field: string]: unknown;
}

/** What /proc says of each thread of the engine. */
async function threads(net: Network): Promise<Thread[]> {
  const text = await net.outside.run(`
    pid=$(${net.stage.bucatini} status web | sed -n 's/^pid: //p')
    for thread in /proc/$pid/task/*; do
      echo "Inside: $(readlink $thread/ns/net | grep -cvxF $(readlink /proc/self/ns/net))"
      cat $thread/status
    done`);
  return text
    .split(/^(?=Inside:)/m)
    .map((part) =>
      Object.fromEntries(Array.from(part.matchAll(/^(\w+):[ \t]*(.*)$/gm), ([, k, v]) => [k, v])),
    )
    .map(({ Name, Inside, ...fields }) => ({ name: Name ?? "", isInside: Inside === "1", ...fields }));
}

const UNPRIVILEGED = {
  Uid: Array(4).fill(NOBODY).join("\t"),
  Gid: Array(4).fill(NOBODY).join("\t"),
  Groups: "",
  CapEff: NONE,
  CapPrm: NONE,
  CapBnd: NONE,
  CapAmb: NONE,
  NoNewPrivs: "1",
  Seccomp: "2",
};

test("every thread is nobody without capabilities, but for the main one, which may have low ports", async () => {
  await withEngine("", async (net) => {
    const [main, ...others] = await threads(net);
    expect(main).toMatchObject({
      ...UNPRIVILEGED,
      CapEff: NET_BIND_SERVICE,
      CapPrm: NET_BIND_SERVICE,
      CapAmb: NET_BIND_SERVICE,
    });
    expect(others.length).toBeGreaterThan(1);
    for (const thread of others) expect(thread).toMatchObject(UNPRIVILEGED);
    expect(others.filter(({ isInside }) => isInside)).toHaveLength(1);
  });
}, 60_000);

test("files and directories are root's alone, and clients are told by their uid", async () => {
  await withEngine("", async (net) => {
    const modes = await net.outside.run(
      "cd /run/bucatini; stat -c '%U %a %n' . web web/state.json web/control.sock web/engine.log",
    );
    expect(modes.trim().split("\n")).toEqual([
      "root 700 .",
      "root 700 web",
      "root 600 web/state.json",
      "root 600 web/control.sock",
      "root 600 web/engine.log",
    ]);
    // Even where modes let it in, another engine, which is the same user, is refused.
    const ask = `printf '{"method":"stop"}\\n' | setpriv --reuid=${NOBODY} --clear-groups socat -t 5 - UNIX:/run/bucatini/web/control.sock`;
    await net.outside.run(
      "chmod 711 /run/bucatini /run/bucatini/web; chmod 666 /run/bucatini/web/control.sock",
    );
    expect(JSON.parse((await net.outside.attempt(ask)).stdout)).toMatchObject({
      error: { code: "forbidden" },
    });
    await net.outside.run("chmod 700 /run/bucatini /run/bucatini/web");
    expect(
      await net.outside.run(`${net.stage.bucatini} ports add web -t 81; ${net.stage.bucatini} list`),
    ).toMatch(/^web /m);
  });
}, 60_000);

test("ports below 1024, automatic ones and the bypass of the loopback are forwarded", async () => {
  const { dir, bucatini } = stage();
  await withEngine("-t 80:8080 -t auto,~80,~81 -u 53:5353", async (net) => {
    await net.outside.start(`ip netns exec web busybox httpd -f -p 8080 -h ${dir}/dist`);
    await net.outside.start("ip netns exec web socat UDP-RECVFROM:5353,fork SYSTEM:'read line; echo answer'");
    await net.outside.run(
      `until ss -Hlnt 'sport = :8080' | grep -q .; do sleep 0.05; done # the automatic port`,
    );
    for (const url of ["127.0.0.1", "[::1]", "127.0.0.1:8080", "198.51.100.2"]) {
      expect(await net.outside.run(`curl -gs -m 5 http://${url}/package.json`)).toContain("commonjs");
    }
    expect(await net.peer.run("curl -s -m 5 http://198.51.100.2/package.json")).toContain("commonjs");
    expect(await net.outside.run("echo question | socat -t 3 - UDP:127.0.0.1:53")).toBe("answer\n");
    expect(
      await net.outside.run(
        `${bucatini} ports add web -t 81:8080; curl -s -m 5 http://127.0.0.1:81/package.json`,
      ),
    ).toContain("commonjs");
  });
}, 60_000);

test("a namespace in a directory that nobody may enter is watched too", async () => {
  await withNamespaces(stage(), { asRoot: true }, async (net) => {
    await net.outside.run(`mkdir -m 755 -p /run/secret/deep; chmod 700 /run/secret
      touch /run/secret/deep/web
      unshare --net=/run/secret/deep/web true
      ${net.stage.bucatini} attach --netns /run/secret/deep/web --name web
      umount -l /run/secret/deep/web`);
    await net.outside.run("rm -r /run/secret");
    await expectNothingLeft(net);
    expect(await net.outside.run(`${net.stage.bucatini} list | wc -l`)).toBe("1\n");
  });
}, 60_000);

test("an engine that is killed leaves nothing, and its place may be taken at once", async () => {
  await withEngine("", async (net) => {
    const { bucatini } = net.stage;
    const output = await net.outside.run(`
      for i in 1 2 3 4 5; do
        kill -9 $(${bucatini} status web | sed -n 's/^pid: //p')
        ${bucatini} attach --netns web --name web
      done
      ${bucatini} detach web
      ${bucatini} attach --netns web --name web
      kill -9 $(${bucatini} status web | sed -n 's/^pid: //p')`);
    expect(output).toBe("web\n".repeat(6));
    await expectNothingLeft(net);
  });
}, 60_000);

test("what waits for an engine's end has no capability, and does not take the engine's word for it", async () => {
  await withEngine("", async (net) => {
    const output = await net.outside.run(`
      reaper=$(ps -e -o pid=,args= | awk '$2 == "bucatini-reaper" { print $1 }')
      grep -E '^Cap' /proc/$reaper/status | cut -f 2 | sort -u
      # What an engine that was taken over can do to the pipe.
      echo > /proc/$reaper/fd/0
      ${net.stage.bucatini} status web | grep -c ^pid:`);
    expect(output).toBe(`${NONE}\n1\n`);
  });
}, 60_000);

test("a container that starts again at once gets its ports", async () => {
  const again = "-t 80:8080 -u 53:5353 -t auto,~80";
  await withEngine(again, async (net) => {
    const { bucatini } = net.stage;
    const output = await net.outside.run(`
      for i in 1 2 3 4 5; do
        ip netns del web
        ip netns add web
        ${bucatini} attach --netns web --name web ${again}
      done
      ls -A /run/bucatini/web`);
    expect(output).toBe(`${"web\n".repeat(5)}control.sock\nengine.log\nstate.json\n`);
  });
}, 60_000);

test.each([
  { runAs: "daemon", uid: "1", gid: "1" },
  { runAs: "1234", uid: "1234", gid: "1234" },
  { runAs: "1234:mail", uid: "1234", gid: "8" },
  { runAs: "root", uid: "0", gid: "0" },
])(
  "--runas $runAs",
  async ({ runAs, uid, gid }) => {
    await withEngine(`--runas ${runAs}`, async (net) => {
      for (const thread of await threads(net)) {
        expect(thread).toMatchObject({
          Uid: Array(4).fill(uid).join("\t"),
          Gid: Array(4).fill(gid).join("\t"),
        });
      }
    });
  },
  60_000,
);

test("an account called bucatini is who engines are", async () => {
  await withNamespaces(stage(), { asRoot: true }, async (net) => {
    await net.outside.run(`{ cat /etc/passwd; echo bucatini:x:4321:4322::/:/bin/false; } > /run/passwd
      mount --bind /run/passwd /etc/passwd
      ip netns add web; ${net.stage.bucatini} attach --netns web --name web`);
    expect((await threads(net))[0]).toMatchObject({
      Uid: "4321\t4321\t4321\t4321",
      Gid: "4322\t4322\t4322\t4322",
    });
    await net.outside.run("ip netns del web");
    await expectNothingLeft(net);
  });
}, 60_000);

test("somebody who may not change is told so", async () => {
  await withNamespaces(stage(), { asRoot: true }, async (net) => {
    const target = await net.user.start("unshare -Urn sh -c 'echo ready $$; exec sleep 1000'", {
      says: "ready",
    });
    const pid = /ready (\d+)/.exec(target.output())?.[1];
    const { bucatini } = net.stage;
    expect(await net.user.attempt(`${bucatini} attach ${pid} --runas nosuchuser`)).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/^bucatini: cannot run the engine as nosuchuser: [^\n]+\n$/),
    });
    const refused = await net.user.attempt(`${bucatini} attach ${pid} --runas 1234`);
    expect(refused).toMatchObject({
      stderr: expect.stringMatching(/^bucatini: cannot run the engine as uid 1234, gid 1234: [^\n]+\n$/),
    });
    await target.kill();
    await expectNothingLeft(net);
  });
}, 60_000);
