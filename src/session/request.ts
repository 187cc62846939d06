import type { WireName } from '../protocol/frontend-messages.ts';
import type { Refusal } from '../policy/types.ts';
import type { Portal } from './names.ts';
import type { Run } from './run.ts';
import type { Statement } from './statement.ts';

/** What the ledger remembers of each request: all that is needed when its reply is read. */
export type Request =
  /** A simple Query; one run for each of its statements. */
  | { readonly kind: 'query'; readonly runs: readonly Run[]; next: number }
  /**
   * A request that stands in the place of a refused one and that the server answers with an error, so that its
   * transaction state becomes what the client will believe. The client gets `refusal` for it.
   */
  | {
      readonly kind: 'refused';
      readonly refusal: Refusal;
      run: Run | undefined;
      /** What stands in its place looks the statement's names up: if one is not there, the server's word for that is the answer, and nothing was refused. */
      readonly looksUpNames: boolean;
    }
  /** `run`: of one that runs code as early as this. */
  | { readonly kind: 'parse'; readonly name: WireName; readonly statement: Statement; readonly run?: Run | undefined }
  | { readonly kind: 'bind'; readonly name: WireName; readonly statementName: WireName; readonly portal: Portal; run?: Run | undefined }
  | { readonly kind: 'describe'; readonly target: 'statement' | 'portal'; readonly name: WireName }
  | { readonly kind: 'execute'; readonly portalName: WireName; readonly run: Run }
  | { readonly kind: 'close'; readonly target: 'statement' | 'portal'; readonly name: WireName }
  | { readonly kind: 'sync' }
  | { readonly kind: 'function_call'; readonly run: Run }
  /** Asked by Rowgate itself; nothing of the reply reaches the client unless the handler says so. */
  | { readonly kind: 'internal'; readonly reply: InternalReply };

/** Receives the replies to a request of Rowgate's own. */
export interface InternalReply {
  onRow?(values: readonly (string | null)[]): void;
  /** CommandComplete, ParseComplete or another message that ends the request well. */
  onComplete?(): void;
  /** The whole ErrorResponse; returns true if the client is to get it. */
  onError?(): boolean;
  /** The server skipped it on its way to Sync. */
  onSkipped?(): void;
  /** ReadyForQuery, if this request ends with it; returns true if the client is to get it. */
  onReady?(): boolean;
}

/** The run that replies belong to now. */
export function runOf(payload: Request): Run | undefined {
  switch (payload.kind) {
    case 'query':
      return payload.runs[payload.next];
    case 'parse':
    case 'bind':
    case 'execute':
    case 'function_call':
      return payload.run;
    default:
      return undefined;
  }
}

export function runsOf(payload: Request): readonly Run[] {
  if (payload.kind === 'query') return payload.runs;
  if (payload.kind === 'refused') return payload.run === undefined ? [] : [payload.run];
  const run = runOf(payload);
  return run === undefined ? [] : [run];
}
