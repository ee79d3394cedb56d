/** Prints the network plan for the namespace it runs in, as JSON. Arguments: the options, as JSON. */
import { DEFAULT_NETWORK } from "../../../src/config/options.ts";
import { chooseTemplate } from "../../../src/config/host-template.ts";
import { planNetwork } from "../../../src/config/network-plan.ts";
import { Netlink } from "../../../src/kernel/netlink.ts";
import { readHostNetwork } from "../../../src/follow/host-network.ts";

const options = { ...DEFAULT_NETWORK, ...JSON.parse(process.argv[2] ?? "{}") };
const netlink = Netlink.open();
const plan = planNetwork(chooseTemplate(readHostNetwork(netlink), options), options);
netlink.close();
process.stdout.write(JSON.stringify(plan));
