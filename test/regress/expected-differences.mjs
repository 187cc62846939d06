/**
 * Where PostgreSQL's regression SQL may print something else through Rowgate than directly: by file, lines (with `- ` for those only direct,
 * `+ ` for those only through Rowgate) and why. `scripts/regress.mjs` takes nothing else.
 */
export const expectedDifferences = {
  temp: [
    {
      // Rowgate asks for the search path before the first statement that needs it, outside of the transaction. Where pg_temp stands first in it, the answer makes the
      // session's temporary schema, and a transaction that begins later has not made it (test/regress/own-files.test.ts).
      pattern: /^- ERROR: {2}cannot PREPARE a transaction that has operated on temporary objects$/,
    },
  ],
};
