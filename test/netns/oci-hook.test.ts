/** The hook under runc and crun that an ordinary user starts without any privilege, containers in user namespaces. */
import { expect, test } from "@jest/globals";
import { type Bundle, makeBundle, type RuntimeName, RUNTIMES } from "../support/bundle.ts";
import { FAMILIES } from "../support/families.ts";
import { expectNothingLeft, withNamespaces, type Network } from "../support/network.ts";
import { startNginx } from "../support/servers.ts";
import { useStage } from "../support/stage.ts";

const stage = useStage();

/** Without what hides control groups from crun, which takes privilege; see `asUser`. */
const COMMANDS = {
  runc: RUNTIMES.runc,
  crun: "crun --root $TMPDIR/crun --cgroup-manager disabled",
};

/** Prints the answer of the peer's web server, over each family; waits for the network at first. */
const FETCH = `until ip route | grep -q default; do sleep 0.02; done
  ${FAMILIES.map(({ peerHost }) => `wget -q -O - http://${peerHost}/hello`).join("; ")}`;
const LOG = "/run/tmp/hook.log";

async function asUser(name: RuntimeName, body: (net: Network) => Promise<void>): Promise<void> {
  await withNamespaces(stage(), {}, async (net) => {
    if (name === "crun") await net.outside.run("mount -t tmpfs tmpfs /sys/fs/cgroup");
    await startNginx(net);
    await net.peer.run("echo hello > $T/www/hello");
    await body(net);
    await net.outside.run("rm -rf /run/tmp/* $T/nginx");
    await expectNothingLeft(net);
  });
}

/** Runs a container; shows what comes of it, and what the hook has logged. */
const script = (name: RuntimeName, bundle: Bundle): string =>
  `${makeBundle(stage(), { user: stage().uid, annotations: { "org.bucatini.log-file": LOG }, ...bundle })}
  ${COMMANDS[name]} run c1 < /dev/null 2>&1 || echo "status $?"
  ${COMMANDS[name]} delete --force c1 2> /dev/null || true
  ${stage().bucatini} list | tail -n +2
  cat ${LOG}`;

/** The same as the ordinary user. */
const run = (net: Network, name: RuntimeName, bundle: Bundle): Promise<string> =>
  net.user.run(script(name, bundle), { seconds: 60 });

test.each([
  ["runc", ["createRuntime"]],
  ["runc", ["createRuntime", "poststart"]],
  ["crun", ["poststart"]],
] as const)(
  "%s connects the container, hook at %j",
  async (name, at) => {
    await asUser(name, async (net) => {
      const output = await run(net, name, { script: FETCH, at });
      expect(output.match(/^hello$/gm)).toHaveLength(2);
      expect(output.match(/ starts"/g)).toHaveLength(1);
      expect(output).not.toContain('"level":"error"');
    });
  },
  60_000,
);

test("crun hides a container that has not started: its log says what to do instead", async () => {
  await asUser("crun", async (net) => {
    const output = await run(net, "crun", { script: "echo started" });
    // README.md explains the number; crun shows nothing else.
    expect(output).toMatch(/exit code: 4\)\n/);
    expect(output).not.toMatch(/^started$/m);
    expect(output).toMatch(/"level":"error".*cannot enter the container's network namespace yet: crun hides/);
  });
}, 60_000);

test("crun, a network namespace that is there already: it is named by path", async () => {
  await asUser("crun", async (net) => {
    const [user, netns] = ["user", "net"].map((name) => `/run/ns-${name}`);
    // What may be joined is below one's own user namespace, so the container's holder is started beside crun.
    const running = await net.user.start(
      `sh -c 'unshare -Urn sleep 1000 & echo "holder $!"; until [ -e /run/tmp/mounted ]; do sleep 0.02; done
      ${script("crun", { script: FETCH, user, netns }).replaceAll("'", `'\\''`)}
      kill $!'`,
      { says: "holder" },
    );
    const pid = /holder (\d+)/.exec(running.output())?.[1];
    await net.outside.run(`until nsenter -t ${pid} -n ip link show | grep -qv eth0; do sleep 0.02; done
      for name in user net; do touch /run/ns-$name; mount --bind /proc/${pid}/ns/$name /run/ns-$name; done
      touch /run/tmp/mounted`);
    const { stdout, stderr } = await running.ended;
    expect(`${stdout}${stderr}`.match(/^hello$/gm)).toHaveLength(2);
    expect(stdout).not.toContain('"level":"error"');
    await net.outside.run("umount /run/ns-user /run/ns-net; rm /run/ns-user /run/ns-net");
  });
}, 60_000);

test("install-hook writes what engines read, tells what to do next, and takes it away again", async () => {
  await withNamespaces(stage(), {}, async (net) => {
    const install = `${stage().bucatini} install-hook`;
    const shown = await net.user.run(`cd $TMPDIR
      ${install} --dir hooks.d; ${install} --cdi --dir cdi; stat -c '%a %n' hooks.d/* cdi/*; cat hooks.d/*`);
    expect(shown).toContain('in containers.conf, section [engine]: hooks_dir = ["/run/tmp/hooks.d"]');
    expect(shown).toContain("podman run --network none --annotation org.bucatini=true ...");
    expect(shown).toContain("podman run --network none --device bucatini.org/net=user ...");
    expect(shown).toContain("644 hooks.d/bucatini.json\n644 cdi/bucatini.org-net.json\n");
    const { hook } = JSON.parse(shown.slice(shown.indexOf("{")));
    expect(hook.args).toEqual(["node", `${stage().dir}/dist/hooks/bucatini-oci-hook`]);
    // Without any environment, as engines start it.
    expect(await net.user.run(`env -i ${hook.path} ${hook.args[1]} 2>&1 || true`)).toContain(
      "this program is a hook",
    );
    const printed = JSON.parse(await net.user.run(`${install} --annotation a=b --print`));
    expect(printed.when).toEqual({ annotations: { "^a$": "^b$" } });
    expect(JSON.parse(await net.user.run(`${install} --always --print`)).when).toEqual({ always: true });
    await net.user
      .run(`cd $TMPDIR; ${install} --uninstall --dir hooks.d; ${install} --cdi --uninstall --dir cdi
      ${install} --uninstall --dir hooks.d; rmdir hooks.d cdi`);
    await expectNothingLeft(net);
  });
}, 60_000);

test.each([
  [
    "",
    /^bucatini: cannot write \/usr\/share\/containers\/oci\/hooks.d\/bucatini.json: permission denied; do it as root, or/,
    17,
  ],
  [
    "--cdi",
    /^bucatini: cannot write \/etc\/cdi\/bucatini.org-net.json: permission denied; do it as root, or/,
    17,
  ],
  ["--cdi --always", /--annotation and --always do not go with it/, 2],
  ["--always --annotation a=b", /contradict each other/, 2],
  ["--annotation a", /write KEY=VALUE/, 2],
  ["DIR", /install-hook takes no arguments, not DIR/, 2],
])(
  "install-hook %s is refused",
  async (options, why, status) => {
    await withNamespaces(stage(), {}, async (net) => {
      const { code, stdout, stderr } = await net.user.attempt(`${stage().bucatini} install-hook ${options}`);
      expect({ code, stdout }).toEqual({ code: status, stdout: "" });
      expect(stderr).toMatch(why);
      expect(stderr).toMatch(/^[^\n]+\n$/);
    });
  },
  60_000,
);
