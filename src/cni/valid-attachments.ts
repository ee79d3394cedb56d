/** The list that GC is given. */
import { itemsOf, keysOf, read, type Placed } from "../config/cni-values.ts";
import { ConfigError } from "../config/config-error.ts";

const KEY = "cni.dev/valid-attachments";

/** Names an attachment among those of a network. */
export const attachmentKey = (containerId: string, ifname: string): string => `${containerId}/${ifname}`;

/**
 * Keys of the attachments that are to stay. Throws ConfigError; so does a list that is absent, which must never be
 * taken for an empty one. An empty one arrives as null.
 */
export function validAttachments(config: Readonly<Record<string, unknown>>): ReadonlySet<string> {
  // A slash in a JSON pointer is written ~1 (RFC 6901).
  const list: Placed = { pointer: `/${KEY.replace("/", "~1")}`, value: config[KEY] };
  if (list.value === undefined) {
    throw new ConfigError(list.pointer, "is missing; without that list nothing is known to be left over");
  }
  return new Set(
    itemsOf(list).map((item) => {
      const values = keysOf(item);
      const text = (key: string): string =>
        read(
          values.get(key.toLowerCase()) ?? { pointer: `${item.pointer}/${key}`, value: undefined },
          String,
        );
      return attachmentKey(text("containerID"), text("ifname"));
    }),
  );
}
