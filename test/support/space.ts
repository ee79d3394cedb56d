/** Where programs of a test run, and how to wait for what they print. */
import { attempt, describeEnd, run, start, type Ended, type RunOptions, type Running } from "./process.ts";

const OUTPUT_DEADLINE_MS = 10_000;
const POLL_MS = 20;

/** A namespace in which programs run. */
export class Space {
  readonly name: string;
  readonly #enter: readonly string[];
  readonly #env: NodeJS.ProcessEnv;
  readonly #started: Running[];

  constructor(name: string, enter: readonly string[], env: NodeJS.ProcessEnv, started: Running[]) {
    this.name = name;
    this.#enter = enter;
    this.#env = env;
    this.#started = started;
  }

  /** The same with more variables in the environment. */
  with(env: NodeJS.ProcessEnv): Space {
    return new Space(this.name, this.#enter, { ...this.#env, ...env }, this.#started);
  }

  /** Runs a shell command and returns what it printed; throws unless it ended with 0. */
  async run(command: string, options: RunOptions = {}): Promise<string> {
    return run(this.#argv(command), this.#title(command), { env: this.#env, ...options });
  }

  /** Runs a shell command to its end, whatever that is. */
  async attempt(command: string, options: RunOptions = {}): Promise<Ended> {
    return attempt(this.#argv(command), this.#title(command), { env: this.#env, ...options });
  }

  /** Starts a server and waits until it listens on `port`, or until it prints `says`. */
  async start(command: string, until: { port?: number; says?: string } = {}): Promise<Running> {
    const running = start(this.#argv(`exec ${command}`), this.#title(command), { env: this.#env });
    this.#started.push(running);
    if (until.says !== undefined) await outputOf(running, until.says);
    if (until.port !== undefined) {
      await this.run(
        `until ss -Hlntu "sport = :${until.port}" | grep -q .; do sleep 0.05; done # for ${command}`,
      );
    }
    return running;
  }

  #argv(command: string): string[] {
    return [...this.#enter, "sh", "-c", command];
  }

  #title(command: string): string {
    return `[${this.name}] ${command}`;
  }
}

/** Waits until a program has printed `text` behind the first `from` characters; throws when it ends first. */
export async function outputOf(running: Running, text: string, from = 0): Promise<void> {
  const deadline = Date.now() + OUTPUT_DEADLINE_MS;
  while (!running.output().includes(text, from)) {
    if (running.child.exitCode !== null || running.child.signalCode !== null) {
      throw new Error(describeEnd(await running.ended));
    }
    if (Date.now() > deadline)
      throw new Error(`${running.command}\n  did not print ${text}: ${running.output()}`);
    await sleep(POLL_MS);
  }
}

export async function sleep(ms: number): Promise<void> {
  await new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
