import { expect, test } from "@jest/globals";
import { describeFrame } from "../../../src/wire/describe.ts";
import { hex, truncated } from "./hex.ts";

/** Frames that Linux sent; 192.0.2.1 and 2001:db8::1 are at 02:00:00:00:00:0a. */
const TO_A = "02000000000a 02000000000b";
const TO_B = "02000000000b 02000000000a";
const V6_TO_A = `${TO_A} 86dd`;
const V6_TO_B = `${TO_B} 86dd`;
const A_TO_B = "20010db8000000000000000000000001 20010db8000000000000000000000002";
const B_TO_A = "20010db8000000000000000000000002 20010db8000000000000000000000001";

const FRAMES: [string, string][] = [
  [
    "ARP who-has 192.0.2.2 tell 192.0.2.1",
    "ffffffffffff 02000000000a 0806 0001080006040001 02000000000a c0000201 000000000000 c0000202",
  ],
  [
    "ARP 192.0.2.2 is-at 02:00:00:00:00:0b",
    `${TO_A} 0806 0001080006040002 02000000000b c0000202 02000000000a c0000201`,
  ],
  ["ARP operation 8, length 28", `${TO_A} 0806 0001080006040008 02000000000b c0000202 02000000000a c0000201`],
  ["malformed ARP, length 2", `${TO_A} 0806 0001`],
  [
    "192.0.2.1:33288 > 192.0.2.2:81: S 2436193997:2436193997(0) win 64240 <mss 1460,sackOK,TS val 3781563680 ecr 0,nop,wscale 10>",
    `${TO_B} 0800 4500003cbf9f40004006f718c0000201c0000202
     8208005191355ecd00000000a002faf084320000020405b40402080ae1661520000000000103030a`,
  ],
  [
    "192.0.2.2:81 > 192.0.2.1:33288: R. 0:0(0) ack 2436193998 win 0",
    `${TO_A} 0800 45000028000040004006b6ccc0000202c0000201 005182080000000091355ece50140000b96f0000`,
  ],
  [
    "[2001:db8::1]:53450 > [2001:db8::2]:81: S 2469348862:2469348862(0) win 64800 <mss 1440,sackOK,TS val 2262779004 ecr 0,nop,wscale 10>",
    `${V6_TO_B} 6002290e00280640 ${A_TO_B}
     d0ca0051932f45fe00000000a002fd205ba30000020405a00402080a86df447c000000000103030a`,
  ],
  [
    // Made by hand: everything set, data across the wrap, SACK blocks, an unknown option, End.
    "192.0.2.1:1 > 192.0.2.2:2: FSRP.UEW 4294967294:1(3) ack 7 win 1 <nop,nop,sack 1:2,option 254 of 4,eol>",
    `${TO_B} 0800 4500003f0000400040060000c0000201c0000202
     00010002 fffffffe 00000007 a0ff0001 00000000 0101 050a0000000100000002 fe041111 00000000 616263`,
  ],
  [
    "192.0.2.1:1 > 192.0.2.2:2: - 0:0(0) win 1 <malformed>",
    `${TO_B} 0800 4500002c0000400040060000c0000201c0000202 00010002 00000000 00000007 60000001 00000000 02ff0000`,
  ],
  [
    "192.0.2.1:40113 > 192.0.2.2:53: UDP, length 5",
    `${TO_B} 0800 450000219a11400040111cb7c0000201c0000202 9cb10035000d842268656c6c6f`,
  ],
  [
    "[2001:db8::1]:41220 > [2001:db8::2]:53: UDP, length 5",
    `${V6_TO_B} 6002d4d7000d1140 ${A_TO_B} a1040035000d5b9368656c6c6f`,
  ],
  [
    "192.0.2.1 > 192.0.2.2: malformed UDP, length 4",
    `${TO_B} 0800 450000189a11400040111cb7c0000201c0000202 9cb10035`,
  ],
  [
    "192.0.2.1 > 192.0.2.2: malformed TCP, length 4",
    `${TO_B} 0800 450000189a11400040061cb7c0000201c0000202 9cb10035`,
  ],
  [
    "192.0.2.1 > 192.0.2.2: fragment 39442 of protocol 17, 1480:1488+",
    `${TO_B} 0800 4500001c9a1220b940113642c0000201c0000202 7878787878787878`,
  ],
  [
    "192.0.2.1 > 192.0.2.2: fragment 39442 of protocol 17, 2960:2968",
    `${TO_B} 0800 4500001c9a12017240115b21c0000201c0000202 7878787878787878`,
  ],
  [
    "2001:db8::1 > 2001:db8::2: fragment 964620644 of protocol 17, 1448:1456",
    `${V6_TO_B} 60088a4800102c40 ${A_TO_B} 110005a8397ef164 7878787878787878`,
  ],
  [
    "192.0.2.1 > 192.0.2.2: ICMP echo request, id 16941, seq 1, length 16",
    `${TO_B} 0800 4500002408f640004001addfc0000201c0000202 0800a9c1422d00010001020304050607`,
  ],
  [
    "192.0.2.2 > 192.0.2.1: ICMP echo reply, id 16941, seq 1, length 16",
    `${TO_A} 0800 45000024c70e400040012fc7c0000202c0000201 0000b1c1422d00010001020304050607`,
  ],
  [
    "192.0.2.2 > 192.0.2.1: ICMP port unreachable",
    `${TO_A} 0800 45c0003dc708000040012ef4c0000202c0000201 03039814 00000000
     450000219a11400040111cb7c0000201c00002029cb10035000d842268656c6c6f`,
  ],
  [
    "192.0.2.2 > 192.0.2.1: ICMP unreachable, fragmentation needed, mtu 1400",
    `${TO_A} 0800 4500001c0000400040010000c0000202c0000201 0304f78300000578`,
  ],
  [
    "192.0.2.2 > 192.0.2.1: ICMP code 13 unreachable",
    `${TO_A} 0800 4500001c0000400040010000c0000202c0000201 030d000000000000`,
  ],
  [
    "192.0.2.2 > 192.0.2.1: ICMP time exceeded, code 1",
    `${TO_A} 0800 4500001c0000400040010000c0000202c0000201 0b01f4fe00000000`,
  ],
  [
    "192.0.2.2 > 192.0.2.1: ICMP type 13 code 0, length 8",
    `${TO_A} 0800 4500001c0000400040010000c0000202c0000201 0d00000000000000`,
  ],
  [
    "2001:db8::1 > 2001:db8::2: ICMPv6 echo request, id 16944, seq 1, length 16",
    `${V6_TO_B} 6004682600103a40 ${A_TO_B} 8000d5fe423000010001020304050607`,
  ],
  [
    "2001:db8::2 > 2001:db8::1: ICMPv6 echo reply, id 16944, seq 1, length 16",
    `${V6_TO_A} 6004be3d00103a40 ${B_TO_A} 8100d4fe423000010001020304050607`,
  ],
  [
    "2001:db8::2 > 2001:db8::1: ICMPv6 unreachable, code 4",
    `${V6_TO_A} 6002fd2d003d3a40 ${B_TO_A} 0104c0c600000000
     6002d4d7000d1140 ${A_TO_B} a1040035000d5b9368656c6c6f`,
  ],
  [
    "2001:db8::2 > 2001:db8::1: ICMPv6 packet too big, mtu 1400",
    `${V6_TO_A} 6000000000083a40 ${B_TO_A} 0200000000000578`,
  ],
  [
    "2001:db8::2 > 2001:db8::1: ICMPv6 time exceeded, code 0",
    `${V6_TO_A} 6000000000083a40 ${B_TO_A} 0300000000000000`,
  ],
  [
    "fe80::ff:fe00:a > ff02::2: router solicitation",
    `333300000002 02000000000a 86dd 6000000000103aff fe80000000000000000000fffe00000a
     ff020000000000000000000000000002 85007b1a00000000 010102000000000a`,
  ],
  [
    "2001:db8::2 > 2001:db8::1: router advertisement, lifetime 65535, managed",
    `${V6_TO_A} 6000000000103aff ${B_TO_A} 8600 0000 ff80ffff 00000000 00000000`,
  ],
  [
    "2001:db8::1 > ff02::1:ff00:2: neighbor solicitation, who has 2001:db8::2",
    `3333ff000002 02000000000a 86dd 6000000000203aff 20010db8000000000000000000000001
     ff0200000000000000000001ff000002 87001c1e00000000 20010db8000000000000000000000002 010102000000000a`,
  ],
  [
    "2001:db8::2 > 2001:db8::1: neighbor advertisement, target 2001:db8::2",
    `${V6_TO_A} 6000000000203aff ${B_TO_A} 88008a6860000000 20010db8000000000000000000000002 020102000000000b`,
  ],
  [
    // Multicast listener report behind a hop-by-hop router alert.
    ":: > ff02::16: ICMPv6 type 143 code 0, length 28",
    `333300000016 02000000000a 86dd 6000000000240001 00000000000000000000000000000000
     ff020000000000000000000000000016 3a00050200000100
     8f006d65 00000001 04000000 ff0200000000000000000001ff00000a`,
  ],
  [
    "2001:db8::2 > 2001:db8::1: malformed extension headers",
    `${V6_TO_A} 6000000000083c40 ${B_TO_A} 3a01000000000000`,
  ],
  ["2001:db8::2 > 2001:db8::1: protocol 50, length 4", `${V6_TO_A} 6000000000043240 ${B_TO_A} 00000001`],
  ["malformed IPv4, length 1", `${TO_A} 0800 45`],
  ["malformed IPv6, length 1", `${TO_A} 86dd 60`],
  ["02:00:00:00:00:0b > 02:00:00:00:00:0a: ethertype 0x88cc, length 15", `${TO_A} 88cc 00`],
  ["short frame, length 12", TO_A],
];

test.each(FRAMES)("%s", (text, bytes) => {
  const view = hex(bytes);
  expect(describeFrame(view, 0, view.byteLength)).toBe(text);
});

test("a frame cut at any length is described all the same", () => {
  for (const [, bytes] of FRAMES) {
    const view = hex(bytes);
    for (let length = 0; length < view.byteLength; length++) {
      expect(describeFrame(truncated(view, length), 0, length)).not.toBe("");
    }
  }
});
