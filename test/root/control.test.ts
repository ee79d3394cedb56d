/** The control socket of an ordinary user's engine, seen by another user. */
import { expect, test } from "@jest/globals";
import { withNetwork } from "../support/network.ts";
import { useStage } from "../support/stage.ts";

const stage = useStage();
const NOBODY = "setpriv --reuid=65534 --regid=65534 --clear-groups";

test("another user cannot reach it, and where the modes let them, is refused", async () => {
  await withNetwork(stage(), { asRoot: true, options: ["--name", "web"] }, async (net) => {
    const directory = `/run/user/${stage().uid}`;
    const connect = `socat -t 5 - UNIX-CONNECT:${directory}/bucatini/web/control.sock`;
    const ask = `printf '{"method":"stop"}\\n' | ${NOBODY} ${connect}`;
    // The machine's root has no number in the engine's user namespace.
    const answer = await net.outside.run(`printf '{"method":"ports"}\\n' | ${connect}`);
    expect(JSON.parse(answer)).toEqual({ result: { rules: [] } });
    expect((await net.outside.attempt(ask)).stderr).toContain("Permission denied");
    await net.outside.run(`chmod 777 ${directory} ${directory}/bucatini ${directory}/bucatini/web`);
    expect((await net.outside.attempt(ask)).stderr).toContain("Permission denied");
    await net.outside.run(`chmod 666 ${directory}/bucatini/web/control.sock`);
    expect(JSON.parse((await net.outside.attempt(ask)).stdout)).toMatchObject({
      error: { code: "forbidden" },
    });
    await net.outside.run(`chmod 700 ${directory} ${directory}/bucatini ${directory}/bucatini/web`);
    expect(JSON.parse(await net.user.run(`${stage().bucatini} status --json web`))).toMatchObject({
      id: "web",
    });
  });
}, 60_000);
