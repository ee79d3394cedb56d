/**
 * Files of captured frames, as libpcap and tcpdump read them (pcap-savefile(5)). Little-endian, which the magic number
 * tells.
 *
 *   | magic 4 | major 2 | minor 2 | time zone 4 | accuracy 4 | longest frame 4 | link type 4 |
 *
 * and before each frame
 *
 *   | seconds 4 | microseconds 4 | bytes here 4 | bytes of the frame 4 |
 */
const MAGIC = 0xa1b2c3d4;
const MAJOR = 2;
const MINOR = 4;
/** What libpcap itself takes for "no limit". */
const LONGEST = 262_144;
/** LINKTYPE_ETHERNET */
const ETHERNET = 1;

/** Bytes of the header of a file. */
export const PCAP_LENGTH = 24;
/** Bytes of what precedes each frame. */
export const PCAP_RECORD_LENGTH = 16;

export function writePcap(view: DataView, at: number): void {
  view.setUint32(at, MAGIC, true);
  view.setUint16(at + 4, MAJOR, true);
  view.setUint16(at + 6, MINOR, true);
  view.setUint32(at + 8, 0);
  view.setUint32(at + 12, 0);
  view.setUint32(at + 16, LONGEST, true);
  view.setUint32(at + 20, ETHERNET, true);
}

/** @param timeMs milliseconds since 1970 */
export function writePcapRecord(view: DataView, at: number, timeMs: number, length: number): void {
  const microseconds = Math.round(timeMs * 1000);
  view.setUint32(at, Math.floor(microseconds / 1_000_000), true);
  view.setUint32(at + 4, microseconds % 1_000_000, true);
  view.setUint32(at + 8, length, true);
  view.setUint32(at + 12, length, true);
}
