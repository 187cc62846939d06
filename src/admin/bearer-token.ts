/** Compares tokens without telling by the time it takes how much of one was right, or how long it is. */

import { createHash, timingSafeEqual } from 'node:crypto';

/** Tokens of several people. */
export class Tokens {
  readonly #people: readonly { readonly name: string; readonly token: BearerToken }[];

  /** Empty tokens are none. */
  constructor(people: ReadonlyMap<string, string>) {
    this.#people = [...people].filter(([, token]) => token !== '').map(([name, token]) => ({ name, token: new BearerToken(token) }));
  }

  get none(): boolean {
    return this.#people.length === 0;
  }

  /** Whose token it is. All are looked at, so that the time does not tell. */
  whose(authorization: string | undefined): string | undefined {
    const found = this.#people.filter(({ token }) => token.matches(authorization));
    return found[0]?.name;
  }
}

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
