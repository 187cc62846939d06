import { setTimeout as sleep } from 'node:timers/promises';

const LOOK_EVERY_MS = 5;

/** Counts what sessions have begun and nobody waits for (refunds, records of ended statements), so that the process does not end before it. */
export class PendingWork {
  #count = 0;

  begin(): void {
    this.#count++;
  }

  end(): void {
    this.#count--;
  }

  /** Resolves when nothing is under way, or after `limitMs`. One piece of work may begin the next in a later turn. */
  async settled(limitMs: number): Promise<void> {
    const deadlineMs = performance.now() + limitMs;
    for (let quietTurns = 0; quietTurns < 2 && performance.now() < deadlineMs; ) {
      quietTurns = this.#count === 0 ? quietTurns + 1 : 0;
      await sleep(LOOK_EVERY_MS);
    }
  }
}
