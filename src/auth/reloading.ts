/** Calls back every few seconds: files are compared by content, since renewals replace links, directories and mounts in every way there is. */
export class Reloading {
  readonly #timer: NodeJS.Timeout;

  constructor(look: () => void, everyMs = RELOAD_EVERY_MS) {
    this.#timer = setInterval(look, everyMs);
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}

export const RELOAD_EVERY_MS = 5_000;
