/**
 * Podman as an ordinary user runs it, on the host "outside" of the test network. The namespaces belong to the machine's
 * root, because containers with more than one user need newuidmap(1), which a user namespace has no use for. Home
 * directory, images and containers are in memory and vanish with the namespaces.
 */
import { afterAll, afterEach, beforeAll, expect } from "@jest/globals";
import { buildNetwork, type Network } from "./network.ts";
import { FAMILIES } from "./families.ts";
import type { Running } from "./process.ts";
import { createPayload, startDnsmasq, startNginx } from "./servers.ts";
import { sleep, type Space } from "./space.ts";
import type { Stage } from "./stage.ts";

export interface PodmanOptions {
  /** 4.3 of Debian 12, which knows CNI, or 5.4 of Debian 13, which knows pasta (test/setup.sh). */
  readonly version: 4 | 5;
  /** More lines of containers.conf for each of its sections. */
  readonly engine?: readonly string[];
  readonly network?: readonly string[];
  /** Files below ~/.config. */
  readonly files?: Readonly<Record<string, unknown>>;
}

/** Programs of the image that all containers have. */
const APPLETS = "sh ip wget nslookup ping sha256sum sleep cat id env grep ls nc kill echo true";

/** What Podman itself leaves running, and where it keeps its state. */
const PODMANS_PROCESS = /^process:.* catatonit -P$/;
const PODMANS_FILE = /^file: \/run\/user\/\d+\/((containers|libpod|crun|runc|podman|networks)(\/.*)?|netns)$/;

/** A machine with an ordinary user who has Podman, and a peer with servers. */
export class Podman {
  readonly net: Network;
  /** The user's login. */
  readonly user: Space;
  /** SHA-256 of the peer's http://.../payload. */
  readonly payload: string;
  readonly #servers: Running[] = [];

  constructor(net: Network, home: string, payload: string) {
    this.net = net;
    this.payload = payload;
    this.user = net.user.with({ HOME: home, TMPDIR: home, PODMAN_IGNORE_CGROUPSV1_WARNING: "1" });
  }

  /** Runs a shell command of the user; returns what it printed, diagnostics included. Throws unless it ended with 0. */
  async run(command: string): Promise<string> {
    return this.user.run(`exec 2>&1\n${command}`, { seconds: 60 });
  }

  /** Starts a container in the background that tells its clients what address they come from. */
  async serve(name: string, options: string): Promise<void> {
    await this.run(`podman run --detach --name ${name} ${options} box sh -c '${TELL_ADDRESSES}'`);
    await this.serving(name);
  }

  /** Waits until a container of `serve` has been started for the `times`th time. */
  async serving(name: string, times = 1): Promise<void> {
    const logs = `podman logs ${name} 2>&1`;
    await this.user.run(
      `until [ $(${logs} | grep -c serving) = ${times} ]; do sleep 0.02; ${logs} >&2; done`,
      {
        seconds: 10,
      },
    );
  }

  /** Removes a container, whatever has happened to it. */
  async remove(name: string): Promise<void> {
    // Podman 5 finds out that conmon has gone when it is asked to stop it, and gives up at that once.
    await this.run(`podman rm --force --time 0 ${name} || podman rm --force --time 0 ${name}`);
  }

  /** The process of a running container, as the host counts. */
  async pid(container: string): Promise<number> {
    return Number(await this.user.run(`podman inspect --format '{{.State.Pid}}' ${container}`));
  }

  /** What `podman inspect` says of something. */
  async inspect(name: string, format: string): Promise<string> {
    return (await this.user.run(`podman inspect --format '${format}' ${name}`)).trim();
  }

  /** The lines of `bucatini list` without its heading. */
  async engines(): Promise<string> {
    return this.user.run(`${this.net.stage.bucatini} list | tail -n +2`);
  }

  /** Starts a server of the host that waits on `port`; it ends with the test. */
  async host(command: string, port: number): Promise<void> {
    this.#servers.push(await this.net.outside.start(command, { port }));
  }

  /** Ends what `host` started, and removes all containers. */
  async clear(): Promise<void> {
    await Promise.all(this.#servers.splice(0).map((server) => server.kill()));
    await this.run("podman rm --all --force --time 0");
  }

  /** Processes, interfaces, sockets and files that are there without a container and should not be. */
  async leftovers(): Promise<string[]> {
    const sockets = (await this.net.outside.run("ss -Hlntu")).split("\n").filter((line) => line !== "");
    return [...(await this.net.leftovers()), ...sockets.map((line) => `socket: ${line}`)].filter(
      (line) => !PODMANS_PROCESS.test(line) && !PODMANS_FILE.test(line),
    );
  }
}

/** One such machine for all tests of a file; each test must leave nothing behind but containers. */
export function usePodman(
  stage: () => Stage,
  describeOptions: (stage: Stage) => PodmanOptions,
): () => Podman {
  let podman: Podman | undefined;
  const get = (): Podman => {
    if (podman === undefined) throw new Error("Podman exists only while tests run");
    return podman;
  };
  beforeAll(async () => {
    const net = await buildNetwork(stage(), { asRoot: true });
    try {
      podman = await login(net, describeOptions(stage()));
    } catch (cause) {
      await net.end();
      throw cause;
    }
  });
  afterEach(async () => {
    await get().clear();
    await expectNothing(get());
  });
  afterAll(() => podman?.net.end());
  return get;
}

/** One second, as for every end of the product. */
async function expectNothing(podman: Podman): Promise<void> {
  const deadline = Date.now() + 1000;
  let left = await podman.leftovers();
  while (left.length > 0 && Date.now() < deadline) {
    await sleep(50);
    left = await podman.leftovers();
  }
  expect(left).toEqual([]);
}

async function login(net: Network, options: PodmanOptions): Promise<Podman> {
  const { stage, outside } = net;
  const home = `/home/${stage.account}`;
  await outside.run(`set -e
    ${options.version === 5 ? "mount -t overlay overlay -o lowerdir=/opt/bucatini-test/podman-5/usr:/usr /usr" : ""}
    # Podman would take the machine's mixture of both kinds of control groups for the older kind.
    mount -t cgroup2 cgroup2 /sys/fs/cgroup
    mount -t tmpfs tmpfs /home
    mkdir ${home}
    chown ${stage.uid}:${stage.gid} ${home}
    mount --make-rshared /`);
  const payload = await createPayload(stage, "payload", 4 << 20);
  await startNginx(net);
  await startDnsmasq(
    net.peer,
    FAMILIES.map((family) => family.peer),
  );
  const podman = new Podman(net, home, payload.replace(/ .*/, ""));
  const files = {
    "containers/containers.conf": containersConf(options),
    "containers/storage.conf": '[storage]\ndriver = "overlay"\n',
    ...options.files,
  };
  await podman.run(`set -e\n${Object.entries(files).map(writeFile).join("")}\n${IMAGE}`);
  return podman;
}

const writeFile = ([path, content]: [string, unknown]): string => `
  mkdir -p $(dirname ~/.config/${path})
  cat > ~/.config/${path} <<'END'
${typeof content === "string" ? content : JSON.stringify(content)}
END
`;

const containersConf = ({ engine = [], network = [] }: PodmanOptions): string =>
  [
    "[containers]",
    'cgroups = "disabled"',
    "[engine]",
    'cgroup_manager = "cgroupfs"',
    'events_logger = "file"',
    ...engine,
    "[network]",
    ...network,
  ].join("\n");

/** An image "box" with busybox and socat. */
const IMAGE = `
  mkdir -p ~/image/bin ~/image/etc ~/image/tmp
  for file in $(command -v busybox) $(command -v socat); do
    cp $file ~/image/bin
    for library in $(ldd $file | grep -o '/[^ ]*'); do
      mkdir -p ~/image$(dirname $library)
      cp $library ~/image$library
    done
  done
  for name in ${APPLETS}; do ln -s busybox ~/image/bin/$name; done
  tar -C ~/image -cf ~/image.tar .
  podman import --quiet --change 'ENV PATH=/bin' ~/image.tar box
  rm -r ~/image ~/image.tar`;

/**
 * A container's program: on port 80 (TCP) and 53 (UDP) it tells every client what address it comes from. It says
 * "serving" when it does, and ends when it is asked to.
 */
export const TELL_ADDRESSES = `
  for family in 4 6,ipv6-v6only; do
    socat TCP\${family%,*}-LISTEN:80,fork,reuseaddr\${family#?} SYSTEM:"read line; echo tcp \\$SOCAT_PEERADDR" &
    socat UDP\${family%,*}-RECVFROM:53,fork\${family#?} SYSTEM:"read line; echo udp \\$SOCAT_PEERADDR" &
  done
  until [ $(cat /proc/net/tcp* /proc/net/udp* | grep -Ec ":0050 .* 0A |:0035 .* 07 ") = 4 ]; do sleep 0.02; done
  trap "exit 0" TERM
  echo serving
  wait`;

/** A container's commands that print the peer's payload's SHA-256, once over each family. */
export const FETCHES = FAMILIES.map(
  ({ peerHost }) => `wget -q -O - http://${peerHost}/payload | sha256sum`,
).join("; ");

/** What a container of `serve` answers to a client in `from`, with the address in short; empty when it does not. */
export async function askAddress(
  from: Space,
  protocol: "tcp" | "udp",
  address: string,
  port: number,
): Promise<string> {
  const ask = `exec 3<>/dev/${protocol}/${address}/${port} && echo hello >&3 && head -n 1 <&3`;
  const answer = (await from.attempt(`timeout 5 bash -c '${ask}'`)).stdout.trim();
  return answer.replace(/\[.*\]/, (ipv6) => new URL(`http://${ipv6}`).hostname.slice(1, -1));
}
