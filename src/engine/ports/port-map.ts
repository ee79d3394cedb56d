/** A set of ports, 0 to 65,535. */
export class PortMap {
  readonly #words = new Uint32Array(0x10000 / 32);

  has(port: number): boolean {
    return (this.#words[port >>> 5] & (1 << (port & 31))) !== 0;
  }

  add(port: number): void {
    this.#words[port >>> 5] |= 1 << (port & 31);
  }

  delete(port: number): void {
    this.#words[port >>> 5] &= ~(1 << (port & 31));
  }

  clear(): void {
    this.#words.fill(0);
  }

  /** Takes over the ports of another set. */
  set(other: PortMap): void {
    this.#words.set(other.#words);
  }

  addAll(other: PortMap): void {
    for (let i = 0; i < this.#words.length; i++) this.#words[i] |= other.#words[i];
  }

  equals(other: PortMap): boolean {
    for (let i = 0; i < this.#words.length; i++) {
      if (this.#words[i] !== other.#words[i]) return false;
    }
    return true;
  }
}
