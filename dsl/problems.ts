// Gathers the errors of one phase, so that a user sees all of them at once: a piece of work that fails is abandoned
// at its first error, and the next piece still runs.

import { type Diagnostic, UserError } from '../diagnostics.js';

export class Problems {
  readonly #found = new Map<string, Diagnostic>();

  /** One text can be lowered many times (a block, a repeat); it is reported once. */
  add(problem: Diagnostic): void {
    const { source, start } = problem.span ?? {};
    this.#found.set(`${source?.name}:${start}:${problem.message}`, problem);
  }

  /** The result of `work`, or undefined with its user errors kept. */
  attempt<T>(work: () => T): T | undefined {
    try {
      return work();
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      for (const problem of error.diagnostics) this.add(problem);
      return undefined;
    }
  }

  /** Ends the phase: throws everything found so far. */
  throwIfAny(): void {
    if (this.#found.size > 0) throw new UserError([...this.#found.values()]);
  }
}
