/** Sessions of the other workers of this machine, as they last said: limits on sessions hold for all of them together. */
export class SessionsElsewhere {
  readonly #byProcess = new Map<number, Map<string, number>>();
  readonly #byPrincipal = new Map<string, number>();
  #total = 0;

  get total(): number {
    return this.#total;
  }

  of(principal: string): number {
    return this.#byPrincipal.get(principal) ?? 0;
  }

  /** A process has so many sessions of this login now. */
  note(process: number, principal: string, count: number): void {
    const there = this.#byProcess.get(process) ?? new Map<string, number>();
    this.#byProcess.set(process, there);
    const change = count - (there.get(principal) ?? 0);
    if (count === 0) there.delete(principal);
    else there.set(principal, count);
    this.#total += change;
    const now = this.of(principal) + change;
    if (now === 0) this.#byPrincipal.delete(principal);
    else this.#byPrincipal.set(principal, now);
  }

  /** It ended, and its sessions with it. */
  forget(process: number): void {
    for (const principal of this.#byProcess.get(process)?.keys() ?? []) this.note(process, principal, 0);
    this.#byProcess.delete(process);
  }
}
