import { parentPort } from 'node:worker_threads';
import { analyseText } from './analyse-text.ts';
import type { SqlParser } from './dialect.ts';
import type { Analysis, RoutineBody } from './facts.ts';
import { normalise } from './normalise.ts';
import type { NormalisedSql } from './normalise.ts';
import { createPostgresParser } from './postgres-parser.ts';
import { routineBody } from './routine-body.ts';

/** The thread for texts that are too large to parse between two packets. One request at a time; whoever asks holds the watchdog. */

export interface WorkerRequest {
  readonly id: number;
  readonly task: 'analyse' | 'normalise' | 'routine';
  readonly text: string;
}

export type WorkerResult =
  | { readonly task: 'analyse'; readonly analysis: Analysis }
  | { readonly task: 'normalise'; readonly normalised: NormalisedSql }
  | { readonly task: 'routine'; readonly body: RoutineBody };

export interface WorkerReply {
  readonly id: number;
  readonly nanoseconds: number;
  readonly result: WorkerResult;
}

let parser: SqlParser | undefined;

async function answer({ id, task, text }: WorkerRequest): Promise<WorkerReply> {
  if (parser?.usable !== true) parser = await createPostgresParser();
  const start = process.hrtime.bigint();
  const result = carryOut(task, text, parser);
  return { id, nanoseconds: Number(process.hrtime.bigint() - start), result };
}

function carryOut(task: WorkerRequest['task'], text: string, using: SqlParser): WorkerResult {
  switch (task) {
    case 'analyse': return { task, analysis: analyseText(text, using) };
    case 'normalise': return { task, normalised: normalise(text, using) };
    case 'routine': return { task, body: routineBody(text, using) };
  }
}

parentPort?.on('message', (request: WorkerRequest) => {
  // Thrown on purpose where it goes wrong: the thread then ends, and its owner answers for it.
  void answer(request).then((reply) => parentPort?.postMessage(reply));
});
