// Ends every run with one plain line, `N passed, N failed, N skipped`, and repeats why tests were skipped.

import type { Reporter, TestModule } from 'vitest/node';

export default class ClosingLine implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], errors: readonly unknown[]): void {
    const count = { passed: 0, failed: errors.length, skipped: 0, pending: 0 };
    const notes = new Set<string>();
    for (const module of modules) {
      // Files and suites that fail before or beside their tests: an import, a hook, a suite without tests.
      count.failed += module.errors().length;
      for (const suite of module.children.allSuites()) count.failed += suite.errors().length;
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
