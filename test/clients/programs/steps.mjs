/** For client programs in JavaScript: one JSON line for each step, with its result or its error. The harness compares the lines of two runs. */

export const schema = process.env.LAB;

const tidy = (value) => {
  if (typeof value === 'bigint') return `${value}n`;
  if (Buffer.isBuffer(value)) return `bytes:${value.toString('hex')}`;
  if (value instanceof Date) return `date:${value.toISOString()}`;
  if (Array.isArray(value)) return value.map(tidy);
  if (typeof value === 'object' && value !== null) return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, tidy(each)]));
  return value === undefined ? null : value;
};

/** What a driver tells of a server's error. */
export const errorOf = (error) => {
  const inner = error.original ?? error.driverError ?? error.cause ?? error;
  const { severity, code, message, detail, hint, position, schema: schemaName, table, column, constraint, where } = inner;
  return tidy({ severity, code, message: String(message), detail, hint, position, schemaName, table: table ?? inner.table_name, column: column ?? inner.column_name, constraint: constraint ?? inner.constraint_name, where });
};

export async function step(name, work) {
  let line;
  try {
    line = { step: name, ok: tidy(await work()) };
  } catch (error) {
    line = { step: name, error: errorOf(error) };
  }
  process.stdout.write(`${JSON.stringify(line)}\n`);
}
