/** Where the files are that belong together: dist/ as `make build` leaves it, wherever it was copied to. */
import { fileURLToPath } from "node:url";

/** The path of a file in dist/lib; every bundle lies in a directory beside that one, or in it. */
export const installedFile = (name: string): string =>
  fileURLToPath(new URL(`../lib/${name}`, import.meta.url));

/** The path of the OCI hook's executable. */
export const installedHook = (): string =>
  fileURLToPath(new URL("../hooks/bucatini-oci-hook", import.meta.url));
