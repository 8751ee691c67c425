import { defineConfig } from 'vitest/config';

// Tests that open a device hold it for the life of their process; forks end cleanly where threads do not.
const common = { pool: 'forks', testTimeout: 120_000, hookTimeout: 120_000 } as const;

export default defineConfig({
  test: {
    reporters: ['default', './test/reporter.ts'],
    projects: [
      { test: { ...common, name: 'fast', include: ['test/**/*.test.ts'], exclude: ['test/slow/**'] } },
      // Whole published networks on whole images, a minute or more each on software Vulkan.
      { test: { ...common, name: 'slow', include: ['test/slow/**/*.test.ts'], testTimeout: 600_000 } },
    ],
  },
});
