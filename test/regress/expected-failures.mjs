/** Tests of node-postgres and postgres.js that pass directly and may fail through Rowgate, with the reason. `scripts/driver-suites.mjs` takes nothing else. */
export const expectedFailures = [
  // The notice is raised by a DO block, which roles with quotas may not run (deny: code).
  { side: ['metered'], test: /^node-postgres: client\/notice-tests\.js(: emits notice message)?$/ },
];
