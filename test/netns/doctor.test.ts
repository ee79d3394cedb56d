/** `bucatini doctor` on a machine that lacks one thing after the other. */
import { expect, test } from "@jest/globals";
import { expectNothingLeft, withNamespaces, type Network } from "../support/network.ts";
import { useStage } from "../support/stage.ts";

const stage = useStage();

interface Report {
  usable: boolean;
  findings: { check: string; level: string; text: string }[];
}

/**
 * Asks as an ordinary user in "outside", after `before` has changed something there; mounts end with the call. RUN may
 * hold words that go before the command.
 */
async function ask(net: Network, before = "", words = ""): Promise<{ code: number; report: Report }> {
  const plain = `unshare -U --map-user=${net.stage.uid} --map-group=${net.stage.gid}`;
  const script = `RUN=\n${before}\nexec $RUN ${plain} env ${words} ${stage().bucatini} doctor --json`;
  const ended = await net.outside.attempt(`exec unshare -m sh -ec '${script.replaceAll("'", `'"'"'`)}'`);
  expect(ended.stderr).toBe("");
  return { code: ended.code ?? -1, report: JSON.parse(ended.stdout) };
}

const found = ({ report }: { report: Report }, check: string) =>
  report.findings.find((finding) => finding.check === check);

test("a machine that has everything", async () => {
  await withNamespaces(stage(), {}, async (net) => {
    const asked = await ask(net);
    expect(asked.code).toBe(0);
    expect(asked.report.usable).toBe(true);
    const checks = ["user namespaces", "TAP device", "state directory", "ports", "pipes", "inotify"];
    for (const check of checks) expect(found(asked, check)).toMatchObject({ level: "ok" });
    const text = await net.user.run(`${stage().bucatini} doctor`);
    expect(text).toMatch(/^ok +versions +Linux \d.*, Node\.js \d.*$/m);
    expect(text).toMatch(/^ok +user namespaces +can be made$/m);
    await expectNothingLeft(net);
  });
}, 60_000);

const PROBLEMS: [string, string, string, RegExp][] = [
  ["no TUN device", "mount --bind /dev/null /dev/net/tun", "TAP device", /mknod \/dev\/net\/tun c 10 200/],
  ["no nsenter", "mount --bind /dev/null /usr/bin/nsenter", "util-linux", /nsenter is missing/],
  [
    "no user namespaces",
    // One for the ordinary user itself.
    "echo 1 > /proc/sys/user/max_user_namespaces",
    "user namespaces",
    /sysctl user.max_user_namespaces=/,
  ],
];

test.each(PROBLEMS)(
  "%s: containers cannot be connected",
  async (_, before, check, remedy) => {
    await withNamespaces(stage(), {}, async (net) => {
      const asked = await ask(net, before);
      expect(found(asked, check)).toEqual({ check, level: "problem", text: expect.stringMatching(remedy) });
      expect(asked.report.usable).toBe(false);
      expect(asked.code).toBe(1);
      await expectNothingLeft(net);
    });
  },
  60_000,
);

const WARNINGS: [string, string, RegExp][] = [
  // A new namespace allows it to nobody.
  ["ping", 'RUN="unshare -n"', /net\.ipv4\.ping_group_range=/],
  ["open files", "ulimit -n 1000", /up to 1000,.*nofile/],
  ["inotify", "echo 0 > /proc/sys/user/max_inotify_instances", /fs\.inotify\.max_user_instances/],
];

test.each(WARNINGS)(
  "%s: a warning",
  async (check, before, remedy) => {
    await withNamespaces(stage(), {}, async (net) => {
      const asked = await ask(net, before);
      expect(found(asked, check)).toEqual({ check, level: "warning", text: expect.stringMatching(remedy) });
      expect(asked.code).toBe(0);
    });
  },
  60_000,
);

test("ports below the first one that everybody may have", async () => {
  await withNamespaces(stage(), {}, async (net) => {
    const text = async (first: number) =>
      found(await ask(net, `echo ${first} > /proc/sys/net/ipv4/ip_unprivileged_port_start`), "ports")?.text;
    expect(await text(80)).toMatch(/^from 80 on/);
    expect(await text(0)).toBe("all may be listened on");
  });
}, 60_000);

test("callers: who finds us, who does not, and what has been left behind", async () => {
  await withNamespaces(stage(), {}, async (net) => {
    const words = "CONTAINERS_CONF=/run/tmp/containers.conf HOME=/run/home";
    await net.outside.run(`set -e
      mkdir -p /run/tmp/helpers /run/home/.local/libexec/cni
      printf '[engine]\\nhelper_binaries_dir = [\\n "/run/tmp/helpers",\\n]\\n' > /run/tmp/containers.conf
      echo 'hooks_dir = ["/run/tmp/hooks.d"]' >> /run/tmp/containers.conf`);
    let asked = await ask(net, "", words);
    expect(found(asked, "Podman 5")).toMatchObject({
      level: "unused",
      text: expect.stringMatching(/\/usr\/bin\/pasta, which is not ours; .*PASTA_BIN=\/run\/tmp\/helpers$/),
    });
    expect(found(asked, "CNI plugin")).toMatchObject({ level: "unused" });
    expect(found(asked, "OCI hook")).toMatchObject({ level: "unused" });
    // Of root, as su(1) leaves it.
    const elsewhere = await ask(net, "mkdir -m 0 /run/tmp/root", "HOME=/run/tmp/root");
    expect(found(elsewhere, "CNI plugin")).toMatchObject({ level: "unused" });

    await net.outside.run(`set -e
      ln -s $T/dist/bin/pasta /run/tmp/helpers/pasta
      ln -s $T/dist/cni/bucatini /run/home/.local/libexec/cni/bucatini
      ${stage().bucatini} install-hook --dir /run/tmp/hooks.d`);
    asked = await ask(net, "", words);
    expect(found(asked, "Podman 5")).toMatchObject({
      level: "ok",
      text: expect.stringContaining("/run/tmp/helpers/pasta"),
    });
    expect(found(asked, "CNI plugin")).toMatchObject({ level: "ok" });
    expect(found(asked, "OCI hook")).toMatchObject({ level: "ok", text: "/run/tmp/hooks.d/bucatini.json" });

    await net.outside.run(`set -e
      ln -sf /nowhere /run/home/.local/libexec/cni/bucatini
      sed -i 's|"/[^"]*/hooks/|"/nowhere/hooks/|' /run/tmp/hooks.d/bucatini.json`);
    asked = await ask(net, "", words);
    expect(found(asked, "CNI plugin")).toMatchObject({
      level: "warning",
      text: expect.stringContaining("gone"),
    });
    expect(found(asked, "OCI hook")).toMatchObject({
      level: "warning",
      text: expect.stringContaining("install-hook writes it again"),
    });
    expect(asked.code).toBe(0);
    await net.outside.run("rm -r /run/tmp/* /run/home/.local");
    await expectNothingLeft(net);
  });
}, 60_000);

test("the broker is found where it listens", async () => {
  await withNamespaces(stage(), {}, async (net) => {
    expect(found(await ask(net), "broker")).toMatchObject({
      level: "unused",
      text: expect.stringContaining("bucatini-broker.socket"),
    });
    const broker = await net.user.start(`${stage().bucatini} broker`, { says: "listens" });
    expect(found(await ask(net), "broker")).toMatchObject({ level: "ok" });
    await broker.kill("SIGTERM");
    await expectNothingLeft(net);
  });
}, 60_000);
