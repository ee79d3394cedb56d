/**
 * Domain names in the form of the DNS (RFC 1035 section 3.1): labels, each behind a byte with its length, and
 * an empty label at the end. Cold path.
 */
const MAXIMUM_LABEL = 63;
const MAXIMUM_NAME = 255;

/**
 * The bytes of a name written with dots, of which one may come last; undefined for a name that has an empty or
 * overlong label, is overlong, or is not ASCII without spaces. Lower and upper case are kept.
 */
export function encodeDnsName(name: string): Uint8Array | undefined {
  const labels = name.replace(/\.$/, "").split(".");
  const length = labels.reduce((sum, label) => sum + 1 + label.length, 1);
  if (length > MAXIMUM_NAME || !/^[!-~]+$/.test(name)) return undefined;
  if (labels.some((label) => label.length === 0 || label.length > MAXIMUM_LABEL)) return undefined;
  const bytes: number[] = [];
  for (const label of labels) {
    bytes.push(label.length, ...Array.from(label, (character) => character.charCodeAt(0)));
  }
  return Uint8Array.from([...bytes, 0]);
}

/** A pointer to a name has 14 bits, below these two. */
const POINTER = 0xc000;

/**
 * Names one behind the other, each as its bytes: an ending that has been there before is a pointer to it, counted
 * from the first byte of the first name (RFC 1035 section 4.1.4). Names that the DNS could not carry are left out.
 */
export function compressDnsNames(names: readonly string[]): Uint8Array[] {
  const places = new Map<string, number>();
  const result: Uint8Array[] = [];
  let length = 0;
  for (const whole of names.map(encodeDnsName).filter((each) => each !== undefined)) {
    let at = 0;
    let place: number | undefined;
    for (; whole[at] !== 0; at += 1 + whole[at]) {
      const ending = String(whole.subarray(at));
      place = places.get(ending);
      if (place !== undefined) break;
      if (length + at < 0x10000 - POINTER) places.set(ending, length + at);
    }
    const name =
      place === undefined
        ? whole
        : Uint8Array.of(...whole.subarray(0, at), (POINTER + place) >> 8, place & 0xff);
    result.push(name);
    length += name.length;
  }
  return result;
}

/**
 * The names in `[at, end)`, one behind the other, as text without the last dot. Padding zeros are skipped; the
 * first malformed name ends the list.
 */
export function decodeDnsNames(view: DataView, at: number, end: number): string[] {
  const names: string[] = [];
  let labels: string[] = [];
  let next = at;
  while (next < end) {
    const length = view.getUint8(next);
    if (length > MAXIMUM_LABEL || next + 1 + length > end) break;
    if (length > 0) labels.push(readLabel(view, next + 1, length));
    else if (labels.length > 0) {
      names.push(labels.join("."));
      labels = [];
    }
    next += 1 + length;
  }
  return names;
}

/** A label as text; bytes that would not survive in text are escaped as in RFC 1035 section 5.1. */
function readLabel(view: DataView, at: number, length: number): string {
  return Array.from({ length }, (_, i) => {
    const byte = view.getUint8(at + i);
    const character = String.fromCharCode(byte);
    return /[!-~]/.test(character) && character !== "." && character !== "\\"
      ? character
      : `\\${byte.toString().padStart(3, "0")}`;
  }).join("");
}
