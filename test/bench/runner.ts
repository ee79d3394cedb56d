// Runs the chosen cases: for each case the subjects in turn, again and again (A B C D A B C D), a fresh container and
// engine for every sample, so that nothing adds up and a failure costs one sample.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { outboundCases, type Case } from "./cases.ts";
import { endsOf } from "./ends.ts";
import { followCases } from "./follow-cases.ts";
import { forwardCases } from "./forward-cases.ts";
import { describeMachine, isInstalled, secondControl } from "./machine.ts";
import {
  joinOutside,
  type Link,
  type LinkOptions,
  type Namespace,
  openContainer,
  openPeer,
  outside,
} from "./namespaces.ts";
import type { Options } from "./options.ts";
import { cpuSeconds, run } from "./process.ts";
import { median, type Result, type Sample, show, writeReport } from "./report.ts";
import { startCases } from "./start-cases.ts";
import { startSubject, type Subject, UNCONNECTED } from "./subjects.ts";

interface Step {
  readonly case: Case;
  readonly subject: Subject;
  readonly round: number;
}

/** Returns the exit status: 0, 1 when a sample is missing, 130 when it was interrupted. */
export async function runBench(options: Options): Promise<number> {
  const all = [...outboundCases(secondControl()), ...forwardCases(), ...startCases(), ...followCases()];
  const cases = all.filter(({ name }) => isChosen(name, options.cases));
  if (options.list) {
    console.log(cases.map(({ name }) => name).join("\n"));
    return 0;
  }
  if (cases.length === 0) throw new Error("no case has such a name; LIST=1 prints them");
  const notes: string[] = [];
  const subjects = await presentSubjects(options, notes);
  const chosen = { ...options, subjects };
  const machine = await describeMachine(chosen);
  for (const [name, value] of Object.entries(machine)) console.error(`${name}: ${value}`);

  const scratch = mkdtempSync(join(tmpdir(), "bucatini-bench-"));
  process.on("exit", () => rmSync(scratch, { recursive: true, force: true }));
  process.env["XDG_RUNTIME_DIR"] = scratch;
  const bench = new Bench(chosen, scratch);
  const finish = (): void => {
    const result = report(chosen, machine, notes, cases, bench.samples);
    console.log(writeReport(options.out, result, subjects));
    console.error(`written: ${options.out}/result.md and result.json`);
  };
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.on(signal, () => {
      notes.push("interrupted: the table is incomplete");
      finish();
      // We are process 1 of our PID namespace: the kernel ends all others with us.
      process.exit(130);
    });
  }
  await bench.run(plan(cases, chosen));
  finish();
  return bench.samples.every((sample) => sample.error === undefined) ? 0 : 1;
}

/** Takes the samples. */
class Bench {
  readonly samples: Sample[] = [];
  readonly #options: Options;
  readonly #scratch: string;
  #peer: Namespace | undefined;
  #link: Link | undefined;
  #linkOptions: LinkOptions | undefined;

  constructor(options: Options, scratch: string) {
    this.#options = options;
    this.#scratch = scratch;
  }

  async run(steps: readonly Step[]): Promise<void> {
    const { seconds, idleSeconds } = this.#options;
    await run(["ip", "link", "set", "lo", "up"]);
    const peer = await openPeer();
    this.#peer = peer;
    let left = steps.reduce((sum, step) => sum + step.case.duration(seconds, idleSeconds), 0);
    for (const [index, step] of steps.entries()) {
      const label = `[${index + 1}/${steps.length}, ${Math.ceil(left / 60)} min left] ${step.case.name} ${step.subject}`;
      const sample = await this.#sample(step, peer);
      this.samples.push(sample);
      const values = step.case.rows.map((row, at) => `${show(sample.values[at])} ${row.unit}`);
      console.error(`${label}: ${sample.error ?? values.join(", ")}`);
      left -= step.case.duration(seconds, idleSeconds);
    }
    await this.#link?.remove();
    await peer.stop();
  }

  async #sample({ case: wanted, subject, round }: Step, peer: Namespace): Promise<Sample> {
    const about = { case: wanted.name, subject, round };
    const { family, seconds, idleSeconds } = this.#options;
    let container: Namespace | undefined;
    try {
      await this.#join(wanted.link);
      container = await openContainer();
      const paths = { ...this.#options, scratch: this.#scratch };
      const { link, mtu, forward = [] } = wanted;
      const running =
        wanted.unconnected === true
          ? UNCONNECTED
          : await startSubject(subject, { container, peer, link, mtu, family, forward, paths });
      try {
        const ends = endsOf(wanted.path, subject, { outside, container, peer }, family);
        const values = await wanted.measure({ ...ends, ...paths, running, container, seconds, idleSeconds });
        const engineCpuSeconds = running.pids().reduce((sum, pid) => sum + cpuSeconds(pid), 0);
        return { ...about, values, engineCpuSeconds, readyMilliseconds: running.readyMilliseconds };
      } catch (cause) {
        if (subject === "direct" || wanted.unconnected === true || running.pids().length > 0) throw cause;
        throw new Error(`the engine has ended: ${reason(cause)}`, { cause });
      } finally {
        await running.stop();
      }
    } catch (error) {
      return { ...about, values: [], error: reason(error), engineCpuSeconds: 0, readyMilliseconds: 0 };
    } finally {
      await container?.stop();
    }
  }

  /** Joins outside and peer as the case wants it. */
  async #join(options: LinkOptions): Promise<void> {
    const now = this.#linkOptions;
    if (this.#peer === undefined || (now?.delay === options.delay && now.congestion === options.congestion))
      return;
    await this.#link?.remove();
    this.#link = undefined;
    this.#linkOptions = undefined;
    this.#link = await joinOutside(this.#peer, options);
    this.#linkOptions = options;
  }
}

function plan(cases: readonly Case[], { subjects, repeat }: Options): Step[] {
  return cases.flatMap((wanted) => {
    const rounds = wanted.name === "idle" ? 1 : repeat;
    const usable = subjects.filter((subject) => wanted.without?.includes(subject) !== true);
    const one = (_: unknown, round: number): Step[] =>
      usable.map((subject) => ({ case: wanted, subject, round: round + 1 }));
    return Array.from({ length: rounds }, one).flat();
  });
}

async function presentSubjects(options: Options, notes: string[]): Promise<Subject[]> {
  const present: Subject[] = [];
  for (const subject of options.subjects) {
    if (subject === "direct" || (await isInstalled(options[subject]))) present.push(subject);
    else notes.push(`${subject} was left out: ${options[subject]} is not there`);
  }
  for (const note of notes) console.error(note);
  return present;
}

function report(
  options: Options,
  machine: Record<string, string>,
  notes: readonly string[],
  cases: readonly Case[],
  samples: readonly Sample[],
): Result {
  const rows = cases.flatMap((wanted) =>
    wanted.rows.map((row, at) => {
      const medians: Partial<Record<Subject, number>> = {};
      for (const subject of options.subjects) {
        const own = samples.filter((sample) => sample.case === wanted.name && sample.subject === subject);
        const value = median(own.flatMap((sample) => sample.values[at] ?? []));
        if (value !== undefined) medians[subject] = value;
      }
      return { ...row, medians };
    }),
  );
  const about = `IPv${options.family}, ${options.repeat} samples of ${options.seconds} s each, medians; links have MTU 1500`;
  return {
    command: ["make bench", ...options.words].join(" "),
    date: new Date().toISOString().slice(0, 16).replace("T", " "),
    machine,
    notes: [about, ...notes],
    rows,
    samples,
  };
}

function isChosen(name: string, parts: readonly string[]): boolean {
  return parts.length === 0 || parts.some((part) => name.includes(part));
}

function reason(error: unknown): string {
  return error instanceof Error ? error.message.replaceAll(/\s+/g, " ") : String(error);
}
