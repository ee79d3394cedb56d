/** DHCP as text for logs and tests; see describe.ts. Options as in "51=ffffffff", with numbers as the RFCs have them. */
import { formatIp, ipv4Words } from "../base/address.ts";
import {
  DHCP4_CLIENT_PORT,
  DHCP4_SERVER_PORT,
  dhcp4ClientAddress,
  dhcp4Options,
  Dhcp4Type,
  dhcp4Type,
  dhcp4YourAddress,
  isDhcp4Valid,
} from "./dhcp4.ts";
import {
  DHCP6_CLIENT_PORT,
  DHCP6_SERVER_PORT,
  dhcp6MessageOptions,
  dhcp6Transaction,
  Dhcp6Type,
  dhcp6Type,
  isDhcp6Valid,
} from "./dhcp6.ts";

/** Describes the payload `[at, end)` of a datagram between these ports; undefined when it is not DHCP. */
export function describeDhcp(
  view: DataView,
  at: number,
  end: number,
  source: number,
  destination: number,
): string | undefined {
  const isBetween = (client: number, server: number): boolean =>
    (source === client && destination === server) || (source === server && destination === client);
  if (isBetween(DHCP4_CLIENT_PORT, DHCP4_SERVER_PORT) && isDhcp4Valid(view, at, end)) {
    return describeDhcp4(view, at, end);
  }
  if (isBetween(DHCP6_CLIENT_PORT, DHCP6_SERVER_PORT) && isDhcp6Valid(view, at, end)) {
    return describeDhcp6(view, at, end);
  }
  return undefined;
}

function describeDhcp4(view: DataView, at: number, end: number): string {
  const type = dhcp4Type(view, at, end);
  const options = dhcp4Options(view, at, end).map((option) =>
    describeOption(view, view.getUint8(option), option + 2, option + 2 + view.getUint8(option + 1)),
  );
  const addresses = [dhcp4ClientAddress(view, at), dhcp4YourAddress(view, at)];
  const [client, yours] = addresses.map((address) => formatIp(ipv4Words(address)));
  return [`DHCP ${nameOf(Dhcp4Type, type)} ciaddr ${client} yiaddr ${yours}`, ...options].join(" ");
}

function describeDhcp6(view: DataView, at: number, end: number): string {
  const options = dhcp6MessageOptions(view, at, end).map((option) =>
    describeOption(view, option.code, option.at, option.end),
  );
  const transaction = dhcp6Transaction(view, at).toString(16).padStart(6, "0");
  return [`DHCPv6 ${nameOf(Dhcp6Type, dhcp6Type(view, at))} ${transaction}`, ...options].join(" ");
}

function nameOf(types: Readonly<Record<string, number>>, type: number): string {
  return Object.keys(types).find((name) => types[name] === type) ?? `type ${type}`;
}

function describeOption(view: DataView, code: number, at: number, end: number): string {
  const bytes = Array.from({ length: end - at }, (_, i) => view.getUint8(at + i));
  return `${code}=${bytes.map((byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}
