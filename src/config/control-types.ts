/** What the control socket's methods take and give; docs/control.md describes them. Plain JSON. */
import type { LogLevel, PortRuleOptions } from "./options.ts";

/** What is done with the rules of a change: "set" replaces all rules, "del" takes away equal ones. */
export const PORT_ACTIONS = ["add", "del", "set"] as const;
export type PortAction = (typeof PORT_ACTIONS)[number];

/** Parameters of `setPorts`. */
export interface PortChangeRequest {
  action: PortAction;
  rules: PortRuleOptions[];
}

/**
 * listening: every port is open. waiting: the host does not have what the rule names, or the rule is automatic and
 * nobody listens on the other side. partial: some ports could not be had. failed: none could.
 */
export type PortState = "listening" | "waiting" | "partial" | "failed";

/** A rule and what has come of it. */
export interface PortRuleStatus extends PortRuleOptions {
  state: PortState;
  /** Ports that are open now. */
  open: number;
  /** What is not there, in words: an address, an interface, an address family. */
  waitsFor?: string;
  /** The last failure. */
  error?: { code: string; port: number; message: string };
}

/** Result of `ports` and of `setPorts`. */
export interface PortsResult {
  rules: PortRuleStatus[];
}

/** Parameters of `setLogLevel`. */
export interface LogLevelRequest {
  level: LogLevel;
}

/** Result of `container`: what the container's kernel has of its network. */
export interface ContainerNetwork {
  /** The interface of ours; absent when it is gone. */
  interface?: {
    name: string;
    mac: string;
    /** Bytes. */
    mtu: number;
    isUp: boolean;
  };
  /** Those of that interface, "address/length". */
  addresses: string[];
  /** Those of the main table, of all interfaces. */
  routes: {
    /** "address/length" */
    destination: string;
    /** Empty for what is on the link itself. */
    gateway: string;
  }[];
}
