import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // Tests that open a device hold it for the life of their process; forks end cleanly where threads do not.
    pool: 'forks',
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
});
