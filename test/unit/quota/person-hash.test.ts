import { createHmac } from 'node:crypto';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { PersonHasher } from '../../../src/quota/person-hash.ts';

it('is the first 16 bytes of HMAC-SHA-256 over scope, class and key, whatever is in them', () => {
  const text = fc.oneof(fc.string(), fc.string({ unit: 'binary' }), fc.string({ minLength: 300, maxLength: 700 }));
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 90 }), text, text, fc.array(text, { minLength: 1, maxLength: 5 }), (secret, scope, className, keys) => {
      const hasher = new PersonHasher(Buffer.from(secret), scope, className);
      for (const key of keys) {
        const mac = createHmac('sha256', secret).update(`${scope}\0${className}\0${key}`).digest();
        expect(hasher.hash(key)).toBe(mac.subarray(0, 16).toString('base64url'));
      }
    }),
    { numRuns: 60 },
  );
});
