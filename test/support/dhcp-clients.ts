/** Real DHCP clients for a container whose interface nobody else configures, and what they do with the answers. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Stage } from "./stage.ts";

/**
 * dhclient writes the last bytes as text into its file of leases, and cannot read that again when they end with a
 * backslash, as those of an address that the kernel makes now and then do.
 */
export const CLIENT_MAC = "02:61:62:63:64:65";

/** What clients call with an answer: sets it on the interface in place of what was there, and prints it. */
const UDHCPC = `#!/bin/sh
what=$1
case $what in
  deconfig) ip -4 address flush dev $interface ;;
  bound | renew) ;;
  *) exit 0 ;;
esac
[ $what = deconfig ] && exec ip link set $interface up
ip address replace $ip/$mask dev $interface
ip link set $interface mtu $mtu
set -- $staticroutes
while [ $# -gt 0 ]; do
  [ $2 = 0.0.0.0 ] && ip route replace $1 dev $interface || ip route replace $1 via $2 dev $interface
  shift 2
done
[ -n "$staticroutes" ] || ip route replace default via $router dev $interface
echo "$what ip=$ip/$mask router=$router routes=$staticroutes mtu=$mtu dns=$dns search=$search lease=$lease name=$hostname"
`;
/** It goes on when there is no file hold-REASON (any more). */
const dhclientScript = (dir: string): string => `#!/bin/sh
case $reason in
  MEDIUM | PREINIT | PREINIT6) ip link set $interface up ;;
  BOUND | RENEW | REBIND | REBOOT)
    ip address replace $new_ip_address/$new_subnet_mask dev $interface
    ip route replace default via $new_routers dev $interface
    echo "$reason ip=$new_ip_address/$new_subnet_mask router=$new_routers mtu=$new_interface_mtu" \\
      "dns=$new_domain_name_servers search=$new_domain_search lease=$new_dhcp_lease_time name=$new_host_name" \\
      "fqdn=$new_fqdn_fqdn"
    ;;
  BOUND6 | RENEW6 | REBIND6)
    [ -z "$new_ip6_address" ] ||
      ip address replace $new_ip6_address/$new_ip6_prefixlen dev $interface nodad preferred_lft $new_preferred_life
    echo "$reason ip=$new_ip6_address/$new_ip6_prefixlen dns=$new_dhcp6_name_servers" \\
      "search=$new_dhcp6_domain_search life=$new_max_life"
    ;;
  EXPIRE6 | DEPREF6)
    ip address delete $old_ip6_address/$old_ip6_prefixlen dev $interface
    echo "$reason old=$old_ip6_address"
    ;;
  *) echo "$reason" ;;
esac
while [ -e ${dir}/hold-$reason ]; do sleep 0.05; done
`;
const DHCLIENT_CONF = `timeout 10;
send fqdn.fqdn "me.test"; send fqdn.encoded on;
request subnet-mask, routers, interface-mtu, domain-name-servers, domain-search, host-name, fqdn.fqdn,
  dhcp6.name-servers, dhcp6.domain-search;
`;

/** Puts what clients need into the stage's directory. */
export function prepareDhcpClients({ dir }: Stage): void {
  const files = { udhcpc: UDHCPC, dhclient: dhclientScript(dir), "dhclient.conf": DHCLIENT_CONF };
  for (const [name, text] of Object.entries(files)) {
    writeFileSync(join(dir, name), text, { mode: 0o755 });
  }
}

/** Commands; `more` are more words. This one stays in the foreground. */
export const udhcpc = ({ dir }: Stage, more: string): string =>
  `busybox udhcpc -i eth0 -f -t 3 -T 1 -O mtu -O search -O staticroutes -s ${dir}/udhcpc ${more}`;

export function dhclient({ dir }: Stage, family: 4 | 6, more: string): string {
  const files = `-cf ${dir}/dhclient.conf -sf ${dir}/dhclient -lf ${dir}/${family}.leases -pf ${dir}/${family}.pid`;
  return `dhclient -v -${family} ${files} ${more} eth0`;
}
