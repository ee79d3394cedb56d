/**
 * Domain names in the form of the DNS (RFC 1035 section 3.1), without compression: labels, each behind a byte
 * with its length, and an empty label at the end. Cold path.
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
