import { configDefaults, defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // Other languages' clients: `npm run clients`. They need many packages, and not all of them agree yet (docs/clients.md).
    exclude: process.env['ROWGATE_CLIENTS'] === undefined ? [...configDefaults.exclude, 'test/clients/**'] : configDefaults.exclude,
    testTimeout: 30_000,
    hookTimeout: 120_000,
    // Two cores: each integration file starts servers of its own, so more files at once only queue for the processor.
    maxWorkers: 2,
    pool: 'forks',
  },
});
