/** The real servers of the tests, with the smallest configuration that lets them run without privilege. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { FAMILIES } from "./families.ts";
import type { Network } from "./network.ts";
import { run, type Running } from "./process.ts";
import type { Space } from "./space.ts";
import type { Stage } from "./stage.ts";

const PEERS = FAMILIES.map((family) => family.peer).join(" ");

/** A file of random bytes in the web root; returns its SHA-256. */
export async function createPayload(stage: Stage, name: string, bytes: number): Promise<string> {
  const file = `${stage.dir}/www/${name}`;
  const out = await run(
    [
      ...stage.asUser,
      "sh",
      "-c",
      `mkdir -p ${stage.dir}/www && head -c ${bytes} /dev/urandom > ${file} && sha256sum < ${file}`,
    ],
    `create ${name}`,
    { seconds: 60 },
  );
  return out.trim();
}

/** nginx on port 80, of the peer unless `space` says otherwise: GET and PUT below $T/www. */
export async function startNginx(net: Network, space: Space = net.peer): Promise<void> {
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
    .map((name) => `${name}_temp_path ${net.stage.dir}/nginx/${name};`)
    .join(" ");
  const text = `user root; daemon off; worker_processes 1; pid ${net.stage.dir}/nginx/pid;
    events { worker_connections 4096; }
    http { access_log off; sendfile on; ${temporary}
      server { listen 80; listen [::]:80; root ${net.stage.dir}/www; dav_methods PUT; client_max_body_size 0; } }`;
  writeFileSync(join(net.stage.dir, "nginx.conf"), text);
  await space.run("mkdir -p $T/nginx $T/www");
  await space.start("nginx -e stderr -c $T/nginx.conf", { port: 80 });
}

/** dnsmasq on port 53 that knows www.test (192.0.2.7, 2001:db8::7) and a TXT record too long for a UDP answer. */
export async function startDnsmasq(space: Space, addresses: readonly string[], more = ""): Promise<void> {
  const listen = addresses.map((address) => `--listen-address=${address}`).join(" ");
  const long = Array.from({ length: 10 }, (_, index) => String(index).repeat(200)).join(",");
  await space.start(
    `dnsmasq --no-daemon --conf-file=/dev/null --pid-file --no-resolv --no-hosts --bind-interfaces ${listen} \
      --host-record=www.test,192.0.2.7,2001:db8::7 --txt-record=long.test,${long} ${more}`,
    { port: 53 },
  );
}

/** test/support/programs/server.ts: echo on 7, and servers that end, refuse or stall in their own ways. */
export async function startLittleServers(space: Space, addresses: string = PEERS): Promise<Running> {
  return space.start(`node $T/server.mjs ${addresses}`, { says: "ready" });
}

/** sshd on port 2222 of the peer as the ordinary user; returns the words of the client's command before the host. */
export async function startSshd(net: Network): Promise<string> {
  await net.peer.run('for name in id hostkey; do ssh-keygen -q -t ed25519 -N "" -f $T/$name; done');
  await net.peer.start(
    `unshare -U --map-user=${net.stage.uid} --map-group=${net.stage.gid} /usr/sbin/sshd -D -e -f /dev/null -p 2222 \
      -o HostKey=$T/hostkey -o AuthorizedKeysFile=$T/id.pub -o StrictModes=no -o UsePAM=no -o PidFile=none`,
    { port: 2222 },
  );
  return `ssh -F none -p 2222 -i $T/id -l ${net.stage.account} -o BatchMode=yes -o StrictHostKeyChecking=no \
    -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR`;
}
