/** Messages of DHCP clients, from words. */
import { concatBytes, type DhcpOption, dhcpOption } from "../../src/wire/dhcp-option.ts";
import { Dhcp4Option, Dhcp4Type, writeDhcp4Reply } from "../../src/wire/dhcp4.ts";
import { Dhcp6Option, dhcp6OptionBytes, Dhcp6Type, linkLayerDuid, writeDhcp6 } from "../../src/wire/dhcp6.ts";
import { ip } from "./fake-net.ts";
import { ipToBytes } from "../../src/base/address.ts";

const GUEST_MAC = Uint8Array.of(2, 0, 0, 0, 0, 0x10);
const OUR_MAC = Uint8Array.of(0x9a, 0x55, 0x9a, 0x55, 0x9a, 0x55);
const TRANSACTION = 0x123456;
const ROOM = 8192;
/** Identifier and times of an association. */
const IA_HEADER = Uint8Array.of(0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0);

/** The payload of `dhcp4 TYPE WORD...` or `dhcp6 TYPE WORD...`; undefined for anything else. */
export function dhcpMessage(text: string): Uint8Array | undefined {
  const [kind, type, ...words] = text.split(/\s+/);
  if (kind === "dhcp4") return message4(named(Dhcp4Type, type), words);
  return kind === "dhcp6" ? message6(named(Dhcp6Type, type), words) : undefined;
}

function named(types: Readonly<Record<string, number>>, name: string): number {
  const type = types[name] ?? Number(name);
  if (Number.isNaN(type)) throw new Error(`no type of DHCP: ${name}`);
  return type;
}

function message4(type: number, words: string[]): Uint8Array {
  const view = new DataView(new ArrayBuffer(2 * ROOM));
  // As the client would have it: Ethernet, its transaction, its MAC address.
  view.setUint32(4, TRANSACTION);
  new Uint8Array(view.buffer).set(GUEST_MAC, 28);
  const options = type === Dhcp4Type.Bootp ? [] : [dhcpOption(Dhcp4Option.Type, Uint8Array.of(type))];
  const rest = words.slice();
  for (let word = rest.shift(); word !== undefined; word = rest.shift()) {
    if (word === "broadcast") view.setUint16(10, 0x8000);
    else if (word === "ciaddr") view.setUint32(12, ip(rest.shift() ?? "")[3]);
    else if (word === "giaddr") view.setUint32(24, ip(rest.shift() ?? "")[3]);
    else options.push(hexOption(word));
  }
  const length = writeDhcp4Reply(view, ROOM, 2 * ROOM, 0, {
    clientAddress: view.getUint32(12),
    yourAddress: 0,
    options,
  });
  const bytes = new Uint8Array(view.buffer, ROOM, length);
  bytes[0] = 1;
  bytes.set(new Uint8Array(view.buffer, 24, 4), 24);
  return bytes;
}

function message6(type: number, words: string[]): Uint8Array {
  const view = new DataView(new ArrayBuffer(ROOM));
  const options = words.map((word) => shorthand(word) ?? hexOption(word));
  const length = writeDhcp6(view, 0, ROOM, type, TRANSACTION, options);
  return new Uint8Array(view.buffer, 0, length);
}

function shorthand(word: string): DhcpOption | undefined {
  if (word === "client") return dhcpOption(Dhcp6Option.Client, linkLayerDuid(GUEST_MAC));
  if (word === "server") return dhcpOption(Dhcp6Option.Server, linkLayerDuid(OUR_MAC));
  const [, association, addresses] = /^(na|ta|pd)(?:\((.*)\))?$/.exec(word) ?? [];
  if (association === undefined) return undefined;
  const inside = (addresses ?? "")
    .split(",")
    .filter((text) => text !== "")
    .map((text) =>
      dhcp6OptionBytes(Dhcp6Option.IaAddress, concatBytes([ipToBytes(ip(text)), new Uint8Array(8)])),
    );
  if (association === "ta")
    return dhcpOption(Dhcp6Option.IaTa, concatBytes([IA_HEADER.subarray(0, 4), ...inside]));
  const code = association === "na" ? Dhcp6Option.IaNa : Dhcp6Option.IaPd;
  return dhcpOption(code, concatBytes([IA_HEADER, ...inside]));
}

/** `CODE=HEX`. */
function hexOption(word: string): DhcpOption {
  const match = /^(\d+)=((?:[\da-f]{2})*)$/.exec(word);
  if (match === null) throw new Error(`no option of DHCP: ${word}`);
  return dhcpOption(Number(match[1]), Buffer.from(match[2], "hex"));
}
