// Ends every run with one plain line, `N passed, N failed, N skipped`, and repeats why tests were skipped.

import type { Reporter, TestModule } from 'vitest/node';

export default class ClosingLine implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], errors: readonly unknown[]): void {
    const count = { passed: 0, failed: errors.length, skipped: 0, pending: 0 };
    const notes = new Set<string>();
    for (const module of modules) {
      if (module.children.size === 0 && !module.ok()) count.failed++;
      for (const test of module.children.allTests()) {
        const result = test.result();
        count[result.state]++;
        if (result.state === 'skipped' && result.note) notes.add(result.note);
      }
    }
    for (const note of notes) console.log(`skipped: ${note}`);
    console.log(`${count.passed} passed, ${count.failed} failed, ${count.skipped} skipped`);
  }
}
