import { createCipheriv, createHmac } from 'node:crypto';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { PersonHasher, PersonHashers } from '../../../src/quota/person-hash.ts';

/** Of the keys below, made with another program. */
const PINNED = ['18519120b8cb8b89acf16767ccedd379', '7067122bbfc8f593208c529bcb9f7efd', '11055e4f2890b49fdfbc9f915e215ef9', '19624ca2ff078fc445ead5d31ab0f04d'];

/** As docs/adr/0010-hashes-of-people.md says it, one key at a time. */
function reference(secret: Buffer, scope: string, className: string, key: string): string {
  const mac = (text: string): Buffer => createHmac('sha256', secret).update(`${scope}\0${className}\0${text}`).digest().subarray(0, 16);
  const block = (name: string, bytes: Buffer): string => {
    const cipher = createCipheriv('aes-128-ecb', mac(name), null).setAutoPadding(false);
    return Buffer.from(cipher.update(bytes).map((byte, i) => byte ^ (bytes[i] as number))).toString('hex');
  };
  const bytes = Buffer.from(key);
  if (bytes.length <= 15) return block('short', Buffer.concat([bytes, Buffer.alloc(15 - bytes.length), Buffer.from([bytes.length])]));
  if (/^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/.test(key)) return block('uuid', Buffer.from(key.replaceAll('-', ''), 'hex'));
  return mac(key).toString('hex');
}

type Key = string | { readonly bytes: Buffer };

function hashes(hasher: PersonHasher, keys: readonly Key[]): string[] {
  hasher.begin();
  for (const key of keys) {
    if (typeof key === 'string') hasher.addText(key);
    else expect(hasher.addBytes(Buffer.concat([Buffer.from('xx'), key.bytes, Buffer.from('yy')]), 2, 2 + key.bytes.length)).toBe(true);
  }
  expect(hasher.finish()).toBe(keys.length);
  const { buffer, byteOffset } = hasher.hashes;
  return keys.map((_, i) => Buffer.from(buffer, byteOffset + 16 * i, 16).toString('hex'));
}

const uuid = fc.uuid();
const nearlyUuid = fc.tuple(uuid, fc.nat(35), fc.constantFrom('-', 'A', 'g', '0', 'é')).map(([text, at, other]) => text.slice(0, at) + other + text.slice(at + 1));
const number = fc.integer().map(String);
const text = fc.oneof(fc.string(), fc.string({ unit: 'binary' }), fc.string({ minLength: 300, maxLength: 700 }));
const key = fc.oneof(number, uuid, nearlyUuid, text, fc.string({ minLength: 14, maxLength: 17 }));

it('is what the record of the decision says, for keys of all kinds in any order', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 90 }), text, text, fc.array(fc.array(key, { maxLength: 40 }), { minLength: 1, maxLength: 3 }), (secret, scope, className, batches) => {
      const hasher = new PersonHasher(Buffer.from(secret), scope, className);
      for (const keys of batches) expect(hashes(hasher, keys)).toEqual(keys.map((each) => reference(Buffer.from(secret), scope, className, each)));
    }),
    { numRuns: 150 },
  );
});

it('is the same of the bytes of a key as of its text', () => {
  const hasher = new PersonHasher(Buffer.from('secret'), 'main', 'customers');
  fc.assert(
    fc.property(fc.array(fc.oneof(number, uuid, fc.string({ unit: 'binary-ascii', maxLength: 40 })), { maxLength: 40 }), (keys) => {
      expect(hashes(hasher, keys.map((each) => ({ bytes: Buffer.from(each) })))).toEqual(hashes(hasher, keys));
    }),
  );
  hasher.begin();
  for (const bytes of [Buffer.from('é'), Buffer.from(`${'x'.repeat(20)}é`), Buffer.from([0x41, 0x80])]) expect(hasher.addBytes(bytes, 0, bytes.length)).toBe(false);
  expect(hasher.finish()).toBe(0);
});

it('stays what it is: another hash means another layout of the store', () => {
  const hasher = new PersonHasher(Buffer.from('secret'), 'main', 'customers');
  expect(hashes(hasher, ['1', '', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 'somebody@example.com'])).toEqual(PINNED);
});

it('forgets what an error left behind', () => {
  const hasher = new PersonHasher(Buffer.from('secret'), 'main', 'customers');
  hasher.begin();
  for (const each of ['left', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 'somebody@example.com']) hasher.addText(each);
  expect(hashes(hasher, ['1'])).toEqual([PINNED[0]]);
});

it('is another one for another secret, scope or class, and one object for the same', () => {
  const hashers = new PersonHashers();
  const of = (secret: string, scope: string, className: string): PersonHasher => hashers.of(Buffer.from(secret), scope, className);
  const first = of('s', 'a', 'b');
  expect(of('s', 'a', 'b')).toBe(first);
  const found = [first, of('s', 'b', 'b'), of('s', 'a', 'c'), of('t', 'a', 'b')].map((each) => hashes(each, ['1'])[0]);
  expect(new Set(found).size).toBe(4);
  expect(hashes(of('s', 'a', 'b'), ['1'])[0]).toBe(found[0]);
});
