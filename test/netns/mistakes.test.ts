/** What is said, and left, when something is wrong with the command line or the machine. */
import { expect, test } from "@jest/globals";
import { EXIT_CODES, type ErrorCode } from "../../src/base/errors.ts";
import { expectNothingLeft, withNamespaces } from "../support/network.ts";
import { prelude } from "../support/prelude.ts";
import { attempt } from "../support/process.ts";
import { useStage } from "../support/stage.ts";

const stage = useStage();

/** What is wrong, how it is done, and what is said. `outside` runs with capabilities, which is what it takes to break things. */
const MISTAKES: { what: string; code: ErrorCode; as: "user" | "outside"; script: string; says: RegExp }[] = [
  { what: "no command", code: "USAGE", as: "user", script: "$B", says: /there is no command/ },
  {
    what: "an unknown command",
    code: "USAGE",
    as: "user",
    script: "$B fly",
    says: /there is no command fly/,
  },
  {
    what: "a command that would speak to the terminal",
    code: "USAGE",
    as: "user",
    script: "$B \"$(printf 'f\\033[31mly')\"",
    says: /there is no command f\?\[31mly/,
  },
  {
    what: "an unknown option",
    code: "USAGE",
    as: "user",
    script: "$B run --fly -- true",
    says: /unknown option --fly \(see "bucatini help run" for what is understood\)/,
  },
  {
    what: "an argument that nobody wants",
    code: "USAGE",
    as: "user",
    script: "$B tour extra",
    says: /tour takes no arguments, not extra \(see "bucatini help tour"/,
  },
  {
    what: "a command that PATH does not have",
    code: "NO_COMMAND",
    as: "user",
    script: "N=$(command -v node); PATH=/nonexistent $N $(readlink -f $B) run true",
    says: /cannot run true: there is no such program; check the name and PATH/,
  },
  {
    what: "a command that may not be executed",
    code: "NOT_EXECUTABLE",
    as: "user",
    script: "$B run /etc/passwd",
    says: /cannot run \/etc\/passwd: it is no program that you may execute; see "chmod \+x"/,
  },
  {
    what: "another user for the engine of an ordinary one",
    code: "USAGE",
    as: "user",
    script: "$B run --runas nobody -- true",
    says: /cannot run the engine as uid 65534, gid 65534: only root may .*; leave --runas away/,
  },
  {
    what: "an interface name of the kernel",
    code: "USAGE",
    as: "user",
    script: "$B run --ifname lo -- true",
    says: /--ifname lo: a name that the kernel keeps for itself; choose another one/,
  },
  {
    what: "both families off",
    code: "USAGE",
    as: "user",
    script: "$B run -4 -6 -- true",
    says: /leave no network/,
  },
  {
    what: "a process that does not exist",
    code: "TARGET_GONE",
    as: "user",
    script: "$B attach 4194000",
    says: /cannot attach to process 4194000: there is no such process; check the number/,
  },
  {
    what: "a namespace that does not exist",
    code: "TARGET_GONE",
    as: "user",
    script: "$B attach --netns red",
    says: /cannot attach to \/run\/netns\/red: it does not exist; "ip netns list"/,
  },
  {
    what: "a file that is no namespace",
    code: "TARGET_GONE",
    as: "user",
    script: "$B attach --netns /etc/passwd",
    says: /cannot attach to \/etc\/passwd: it is no network namespace here/,
  },
  {
    what: "a namespace where we may not look",
    code: "TARGET_FORBIDDEN",
    as: "user",
    script: "$B attach --netns /root/red",
    says: /cannot attach to \/root\/red: permission denied/,
  },
  {
    what: "a name that is too long",
    code: "TARGET_GONE",
    as: "user",
    script: `$B attach --netns ${"x".repeat(300)}`,
    says: /cannot attach to \/run\/netns\/x+: it does not exist/,
  },
  {
    what: "our own namespace",
    code: "USAGE",
    as: "user",
    script: "$B attach $$",
    says: /it is in the network namespace of this command, so there is nothing to connect/,
  },
  {
    what: "a namespace made with more privilege",
    code: "TARGET_FORBIDDEN",
    as: "user",
    script: "$B attach --netns router",
    says: /cannot enter the network namespace \/run\/netns\/router: it was made with more privilege/,
  },
  {
    what: "no TUN device",
    code: "NO_TUN",
    as: "outside",
    script: "mount -t tmpfs tmpfs /dev/net; $B run -- true",
    says: /cannot open \/dev\/net\/tun, .*: it does not exist; load the module with "modprobe tun"/,
  },
  {
    what: "a TUN device for root only",
    code: "NO_TUN",
    as: "outside",
    script:
      "mount -t tmpfs tmpfs /dev/net; touch /dev/net/tun; chmod 0 /dev/net/tun; unshare -U --map-user=1000 $B run -- true",
    says: /cannot open \/dev\/net\/tun, .*: permission denied; let everybody use it with "chmod 0666/,
  },
  {
    what: "something else in place of the TUN device",
    code: "NO_TUN",
    as: "outside",
    script: "mount --bind /dev/null /dev/net/tun; $B run -- true",
    says: /cannot use \/dev\/net\/tun, .*: it is not the TUN device; replace it/,
  },
  {
    what: "no user namespaces",
    code: "NO_USER_NAMESPACES",
    as: "outside",
    script: "unshare -Ur sh -c 'echo 0 > /proc/sys/user/max_user_namespaces; exec $0 run -- true' $B",
    says: /cannot create user and network namespaces \(.*No space left.*\); raise the limit: sysctl/,
  },
  {
    what: "no IPv6 inside",
    code: "NO_ADDRESS",
    as: "outside",
    script: `ip netns add blue; trap "ip netns delete blue" EXIT
      ip netns exec blue sh -c 'echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6'; $B attach --netns blue -6`,
    says: /cannot give the container an address of the family asked for: its kernel takes none/,
  },
  {
    what: "an interface that does not exist",
    code: "NO_ADDRESS",
    as: "user",
    script: "$B run --interface eth7 --no-follow -- true",
    says: /there is no eth7, the host has eth0; name another one, or leave --no-follow away/,
  },
  {
    what: "an interface without an address",
    code: "NO_ADDRESS",
    as: "outside",
    script:
      "ip link add bare0 type veth peer name bare1; $B run --no-follow --interface bare0 -- true; e=$?; ip link delete bare0; exit $e",
    says: /bare0 has no usable address, the host has eth0, bare1, bare0; name another one/,
  },
  {
    what: "a full disk for the log",
    code: "LOG_FILE",
    as: "user",
    script: "$B run --log-file /dev/full -- true",
    says: /cannot write the log \/dev\/full: the disk is full; free space or choose another --log-file/,
  },
  {
    what: "a capture that cannot be written",
    code: "LOG_FILE",
    as: "user",
    script: "$B run --capture /nonexistent/pcap -- true",
    says: /cannot write the capture \/nonexistent\/pcap: its directory does not exist; choose another file/,
  },
  {
    what: "a disk that is too full for a capture",
    code: "LOG_FILE",
    as: "outside",
    script: `mkdir /run/tiny; mount -t tmpfs -o size=4k tmpfs /run/tiny
      head -c 4096 /dev/zero > /run/tiny/zero; $B run --capture /run/tiny/pcap -- true`,
    says: /cannot write the capture: ENOSPC; free space or choose another file/,
  },
  {
    what: "ports of a protocol that is switched off",
    code: "USAGE",
    as: "user",
    script: "$B run --no-tcp -t 8080 -- true",
    says: /cannot forward ports of TCP: TCP is switched off for this container; leave them out/,
  },
  {
    what: "a full disk for the state",
    code: "STATE_DIR",
    as: "outside",
    script: `export XDG_RUNTIME_DIR=/run/full; mkdir $XDG_RUNTIME_DIR; mount -t tmpfs -o size=4k,mode=700 tmpfs /run/full
      head -c 4096 /dev/zero > /run/full/zero; $B run -- true`,
    says: /cannot write the state of the engine to .*: the disk is full/,
  },
  {
    what: "an engine that does not run",
    code: "NOT_RUNNING",
    as: "user",
    script: "$B detach web",
    says: /cannot find an engine for web; "bucatini list" shows those that run/,
  },
  {
    what: "no engine at all",
    code: "NOT_RUNNING",
    as: "user",
    script: "$B status",
    says: /no engine is running/,
  },
];

test.each(MISTAKES)(
  "$what: one sentence, exit code for $code, nothing left",
  async ({ code, as, script: text, says }) => {
    await withNamespaces(stage(), {}, async (net) => {
      const ended = await net[as].attempt(`${prelude(stage())}\n${text}`);
      expect(ended.stderr).toMatch(says);
      expect(ended.stderr.trim().split("\n")).toHaveLength(1);
      expect(ended.stderr).toMatch(/^bucatini: /);
      expect(ended.code).toBe(EXIT_CODES[code]);
      await expectNothingLeft(net);
    });
  },
  60_000,
);

test("a process of another user is refused, and its user named", async () => {
  const { asUser, bucatini } = stage();
  const ended = await attempt([...asUser, bucatini, "attach", "1"], "attach to process 1", {
    env: process.env,
  });
  expect(ended.stderr).toMatch(
    /^bucatini: cannot attach to process 1: it belongs to another user \(uid 0\); run/,
  );
  expect(ended.code).toBe(EXIT_CODES.TARGET_FORBIDDEN);
});

test("without any network, the host is all the container reaches, and that is said", async () => {
  await withNamespaces(stage(), {}, async (net) => {
    const ended = await net.outside.attempt(
      `${prelude(stage())}\nunshare -n sh -c 'ip link set lo up; exec ${stage().bucatini} run -- ip -br address show dev tap0'`,
    );
    expect(ended.stderr).toMatch(
      /^bucatini: the host has no network: for the time being .* the host itself only\n$/,
    );
    expect(ended.stdout).toMatch(/^tap0 .* 169\.254\.2\.1\/16/);
    expect(ended.code).toBe(0);
    await expectNothingLeft(net);
  });
}, 60_000);
