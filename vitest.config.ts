import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    testTimeout: 30_000,
    hookTimeout: 120_000,
    // Two cores: each integration file starts servers of its own, so more files at once only queue for the processor.
    maxWorkers: 2,
    pool: 'forks',
  },
});
