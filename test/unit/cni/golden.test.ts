/** One document for each verb and version: what the plugin prints, word for word (golden/VERB.json). */
import { expect, test } from "@jest/globals";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { dispatch, type CniVerbs } from "../../../src/cni/dispatch.ts";
import { SUPPORTED_VERSIONS } from "../../../src/cni/versions.ts";
import { addOnPaper } from "../../support/cni-verbs.ts";

const ENVIRONMENT = {
  CNI_CONTAINERID: "c1",
  CNI_NETNS: "/run/netns/blue",
  CNI_IFNAME: "eth0",
  CNI_PATH: "/opt/cni/bin",
  CNI_ARGS: "",
};
const CONFIG = {
  name: "net",
  type: "bucatini",
  addresses: ["10.1.0.5/16", "10.1.0.6/16", "2001:db8:7::5/64"],
  gateways: ["10.1.0.1", "2001:db8:7::1"],
  mtu: 1400,
  mac: "02:00:00:00:00:0a",
  dns: { nameservers: ["10.1.0.53"], search: ["test"] },
};

/** The verbs without the system below them. */
const VERBS: CniVerbs = {
  ADD: addOnPaper,
  DEL: async () => undefined,
  CHECK: async () => undefined,
  GC: async () => undefined,
  STATUS: async () => undefined,
};

/** What the plugins before us have made, as the same version says it. */
const PREVIOUS: Readonly<Record<string, unknown>> = {
  "0.2.0": { cniVersion: "0.2.0", ip4: { ip: "10.9.0.2/24", gateway: "10.9.0.1" }, dns: {} },
  "0.4.0": {
    cniVersion: "0.4.0",
    interfaces: [{ name: "veth1" }, { name: "eth9", sandbox: "/run/netns/blue" }],
    ips: [{ version: "4", interface: 1, address: "10.9.0.2/24" }],
    dns: {},
  },
  "1.0.0": {
    cniVersion: "1.0.0",
    interfaces: [{ name: "eth9", mac: "02:00:00:00:00:09", sandbox: "/run/netns/blue" }],
    ips: [{ interface: 0, address: "10.9.0.2/24", gateway: "10.9.0.1" }],
    routes: [{ dst: "10.9.0.0/16", gw: "10.9.0.1" }],
    dns: { nameservers: ["10.9.0.1"] },
  },
  "1.1.0": {
    cniVersion: "1.1.0",
    interfaces: [{ name: "eth9", mtu: 9000, sandbox: "/run/netns/blue", pciID: "0000:00:1f.6" }],
    ips: [{ interface: 0, address: "2001:db8:9::2/64" }],
    routes: [{ dst: "2001:db8:9::/48", gw: "2001:db8:9::1", mtu: 1300, priority: 5, table: 0, scope: 0 }],
  },
};

const golden = (name: string): Record<string, unknown> =>
  JSON.parse(readFileSync(join(__dirname, "golden", `${name}.json`), "utf8"));

async function answer(command: string, config: Readonly<Record<string, unknown>>): Promise<unknown> {
  const environment = { ...ENVIRONMENT, CNI_COMMAND: command };
  const { status, stdout } = await dispatch(environment, async () => JSON.stringify(config), VERBS);
  const document: unknown = stdout === "" ? null : JSON.parse(stdout);
  return { status, document };
}

test.each(["VERSION", "ADD", "DEL", "CHECK", "GC", "STATUS"])("%s in every version", async (command) => {
  const answers: Record<string, unknown> = {};
  for (const cniVersion of [...SUPPORTED_VERSIONS, "1.2.0"]) {
    answers[cniVersion] = await answer(command, { ...CONFIG, cniVersion });
  }
  expect(answers).toEqual(golden(command));
});

test("ADD behind other plugins, in every form of their results", async () => {
  const answers: Record<string, unknown> = {};
  for (const [cniVersion, prevResult] of Object.entries(PREVIOUS)) {
    answers[cniVersion] = await answer("ADD", { ...CONFIG, cniVersion, prevResult });
  }
  expect(answers).toEqual(golden("chained"));
});
