/** The server that the tests start: `redis-server`, or another version or Valkey by its path. */
export const REDIS_SERVER = process.env['ROWGATE_TEST_REDIS'] ?? 'redis-server';
