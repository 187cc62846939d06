/** Compares tokens without telling by the time it takes how much of one was right, or how long it is. */

import { createHash, timingSafeEqual } from 'node:crypto';

export class BearerToken {
  readonly #digest: Buffer;

  constructor(token: string) {
    this.#digest = digest(token);
  }

  /** `authorization`: the header's value. The scheme's name is read in any case (RFC 9110, 11.1). */
  matches(authorization: string | undefined): boolean {
    const given = /^bearer +(\S+)$/i.exec(authorization ?? '')?.[1];
    return given !== undefined && timingSafeEqual(digest(given), this.#digest);
  }
}

/** Equal lengths for `timingSafeEqual`. */
function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
