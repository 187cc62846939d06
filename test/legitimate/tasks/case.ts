import type { Login } from '../office.ts';

/** A piece of somebody's work: texts sent one after another on one connection. */
export interface Work {
  readonly name: string;
  readonly sql: readonly string[];
  /** Units of class customers that it costs all in all; 0 if left out: it touches nothing protected. */
  readonly units?: number;
}

export interface Workload {
  readonly title: string;
  readonly login: Login;
  readonly work: readonly Work[];
}

export function work(name: string, ...sql: readonly string[]): Work {
  return { name, sql };
}

export function metered(units: number, name: string, ...sql: readonly string[]): Work {
  return { name, sql, units };
}
