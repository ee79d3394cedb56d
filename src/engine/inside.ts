/** Sockets in the container's network namespace. */
export interface Inside {
  take(v6: boolean, protocol: number): number;
}
