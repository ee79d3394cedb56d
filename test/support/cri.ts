/** The part of a kubelet that the tests play: calls of the Container Runtime Interface over the runtime's socket. */
import { credentials, makeClientConstructor, type ServiceDefinition } from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import { join } from "node:path";
import { sleep } from "./space.ts";

const CALL_DEADLINE_MS = 30_000;

export interface PortMapping {
  readonly protocol?: "TCP" | "UDP" | "SCTP";
  readonly container_port: number;
  readonly host_port: number;
  readonly host_ip?: string;
}

/** What tests choose of a pod. */
export interface Pod {
  readonly name: string;
  readonly ports?: readonly PortMapping[];
  readonly annotations?: Readonly<Record<string, string>>;
}

export interface Executed {
  readonly stdout: string;
  readonly stderr: string;
  readonly exitCode: number;
}

/** Answers of all calls; each has the fields of its message. */
interface Answer {
  readonly pod_sandbox_id?: string;
  readonly container_id?: string;
  readonly status?: unknown;
  readonly items?: readonly { readonly id: string }[];
  readonly stdout?: Uint8Array;
  readonly stderr?: Uint8Array;
  readonly exit_code?: number;
}

export class Cri {
  readonly #client;

  /** Connects to the socket at the first call, and again after the runtime was started again. */
  constructor(socket: string) {
    const options = { keepCase: true, longs: Number, enums: String, defaults: true };
    const definition = loadSync(join(__dirname, "cri.proto"), options)["runtime.v1.RuntimeService"];
    const Client = makeClientConstructor(definition as ServiceDefinition, "RuntimeService");
    this.#client = new Client(`unix:${socket}`, credentials.createInsecure(), {
      "grpc.initial_reconnect_backoff_ms": 100,
      "grpc.max_reconnect_backoff_ms": 100,
    });
  }

  /** Waits for a runtime that has just started. @throws Error with the runtime's message */
  async call(method: string, request: object): Promise<Answer> {
    const deadline = Date.now() + CALL_DEADLINE_MS;
    for (;;) {
      try {
        return await this.#try(method, request);
      } catch (error) {
        if (!String(error).includes("server is not initialized yet") || Date.now() > deadline) throw error;
        await sleep(50);
      }
    }
  }

  async #try(method: string, request: object): Promise<Answer> {
    return new Promise((resolve, reject) => {
      // A runtime that has just started is not an error, but something to wait for.
      const options = { deadline: Date.now() + CALL_DEADLINE_MS, waitForReady: true };
      this.#client[method]?.(request, options, (error: Error | null, answer: Answer) => {
        if (error === null) resolve(answer);
        else reject(error);
      });
    });
  }

  /** Starts a pod; returns its identifier. */
  async runPod(pod: Pod): Promise<string> {
    const { pod_sandbox_id: id = "" } = await this.call("RunPodSandbox", { config: podConfig(pod) });
    return id;
  }

  /** Starts a container in a pod; returns its identifier. */
  async runContainer(podId: string, pod: Pod, image: string, command: readonly string[]): Promise<string> {
    const { container_id = "" } = await this.call("CreateContainer", {
      pod_sandbox_id: podId,
      config: { metadata: { name: "main" }, image: { image }, command, linux: {} },
      sandbox_config: podConfig(pod),
    });
    await this.call("StartContainer", { container_id });
    return container_id;
  }

  /** Runs a shell command in a container to its end. */
  async exec(containerId: string, command: string): Promise<Executed> {
    const { stdout, stderr, exit_code } = await this.call("ExecSync", {
      container_id: containerId,
      cmd: ["/bin/sh", "-c", command],
      timeout: 20,
    });
    return { stdout: String(stdout), stderr: String(stderr), exitCode: exit_code ?? 0 };
  }

  close(): void {
    this.#client.close();
  }
}

/** The runtime compares this with what it had for the pod. */
function podConfig({ name, ports = [], annotations = {} }: Pod) {
  return {
    metadata: { name, uid: `uid-${name}`, namespace: "test", attempt: 0 },
    hostname: name,
    dns_config: { servers: ["169.254.1.1"] },
    port_mappings: ports,
    annotations,
    linux: {},
  };
}
