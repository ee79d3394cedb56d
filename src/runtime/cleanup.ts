/** Undo for things made one after another: in reverse order, going on after failures. */

/** Collects steps while something is built; `run` undoes them when it fails or ends. */
export class Cleanup {
  private readonly steps: { what: string; undo: () => unknown }[] = [];

  /** Adds a step; `what` names it in an error, such as "remove /run/bucatini/1". */
  add(what: string, undo: () => unknown): void {
    this.steps.push({ what, undo });
  }

  /** Forgets all steps: what was made stays. */
  keep(): void {
    this.steps.length = 0;
  }

  /** Runs and forgets all steps, last first. Throws one AggregateError when some failed, after all have run. */
  async run(): Promise<void> {
    const errors: Error[] = [];
    for (let step = this.steps.pop(); step !== undefined; step = this.steps.pop()) {
      try {
        // One after the other on purpose: a later step may rely on an earlier one having been undone.
        // oxlint-disable-next-line no-await-in-loop
        await step.undo();
      } catch (cause) {
        errors.push(new Error(`cannot ${step.what}: ${String(cause)}`, { cause }));
      }
    }
    if (errors.length > 0) throw new AggregateError(errors, errors.map((error) => error.message).join("; "));
  }
}
