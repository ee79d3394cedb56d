/** What is wrong with a network configuration. */

/** A value of a configuration that cannot be used; the message begins with its JSON pointer (RFC 6901). */
export class ConfigError extends Error {
  /** The value may be right, but we do not have what it asks for. */
  readonly isUnsupported: boolean;
  constructor(pointer: string, why: string, isUnsupported = false) {
    super(`${pointer} ${why}`);
    this.name = "ConfigError";
    this.isUnsupported = isUnsupported;
  }
}
