/** Distinct people in a sliding window, exactly, as far as a limit needs it. Pure. A month of 500 people is more than a million entries, so one takes 32 bytes instead of the 150 of a Map. */

const NONE = -1;
const SMALLEST = 16;

/** Entries hang in buckets by hash, and in one list by the time that they were last taken; the earliest leave first. */
export class SubjectWindow {
  readonly #windowMs: number;
  /** More than this many are not remembered: past the limit it does not matter how far. */
  readonly #most: number;
  #size = 0;
  #buckets = new Int32Array(SMALLEST).fill(NONE);
  #hashes = new Float64Array(SMALLEST);
  #times = new Float64Array(SMALLEST);
  /** Next in the bucket; of a free entry, the next free one. */
  #chain = new Int32Array(SMALLEST);
  #earlier = new Int32Array(SMALLEST);
  #later = new Int32Array(SMALLEST);
  #earliest = NONE;
  #latest = NONE;
  /** Entries from here on were never used. */
  #unused = 0;
  #free = NONE;

  constructor(windowMs: number, most: number) {
    this.#windowMs = windowMs;
    this.#most = most;
  }

  count(nowMs: number): number {
    while (this.#earliest !== NONE && at(this.#times, this.#earliest) <= nowMs - this.#windowMs) this.#forget(this.#earliest);
    return this.#size;
  }

  /** How many of the keys would be new people. */
  fresh(keys: readonly string[]): number {
    let fresh = 0;
    for (const key of keys) if (this.#find(hashOf(key)) === NONE) fresh++;
    return fresh;
  }

  /** Takes note of the keys; of new ones, of at most `newOnes`. */
  add(keys: readonly string[], newOnes: number, nowMs: number): void {
    let left = Math.min(newOnes, this.#most - this.#size);
    for (const key of keys) {
      const hash = hashOf(key);
      const known = this.#find(hash);
      if (known !== NONE) this.#unlist(known);
      else if (left-- <= 0) continue;
      const entry = known === NONE ? this.#enter(hash) : known;
      this.#times[entry] = nowMs;
      this.#list(entry);
    }
  }

  #find(hash: number): number {
    let entry = at(this.#buckets, this.#bucketOf(hash));
    while (entry !== NONE && at(this.#hashes, entry) !== hash) entry = at(this.#chain, entry);
    return entry;
  }

  /** Buckets are a power of two; the lowest bits of the hash are as good as any. */
  #bucketOf(hash: number): number {
    return (hash >>> 0) & (this.#buckets.length - 1);
  }

  #enter(hash: number): number {
    if (this.#free === NONE && this.#unused === this.#hashes.length) this.#grow();
    const entry = this.#free === NONE ? this.#unused++ : this.#free;
    if (entry === this.#free) this.#free = at(this.#chain, entry);
    this.#hashes[entry] = hash;
    this.#hang(entry);
    this.#size++;
    return entry;
  }

  #hang(entry: number): void {
    const bucket = this.#bucketOf(at(this.#hashes, entry));
    this.#chain[entry] = at(this.#buckets, bucket);
    this.#buckets[bucket] = entry;
  }

  #forget(entry: number): void {
    this.#unlist(entry);
    const bucket = this.#bucketOf(at(this.#hashes, entry));
    let before = NONE;
    for (let each = at(this.#buckets, bucket); each !== entry; each = at(this.#chain, each)) before = each;
    if (before === NONE) this.#buckets[bucket] = at(this.#chain, entry);
    else this.#chain[before] = at(this.#chain, entry);
    this.#chain[entry] = this.#free;
    this.#free = entry;
    this.#size--;
  }

  #list(entry: number): void {
    this.#earlier[entry] = this.#latest;
    this.#later[entry] = NONE;
    if (this.#latest === NONE) this.#earliest = entry;
    else this.#later[this.#latest] = entry;
    this.#latest = entry;
  }

  #unlist(entry: number): void {
    const earlier = at(this.#earlier, entry);
    const later = at(this.#later, entry);
    if (earlier === NONE) this.#earliest = later;
    else this.#later[earlier] = later;
    if (later === NONE) this.#latest = earlier;
    else this.#earlier[later] = earlier;
  }

  /** Only when all are in use. */
  #grow(): void {
    const room = this.#hashes.length * 2;
    this.#hashes = copied(new Float64Array(room), this.#hashes);
    this.#times = copied(new Float64Array(room), this.#times);
    this.#chain = copied(new Int32Array(room), this.#chain);
    this.#earlier = copied(new Int32Array(room), this.#earlier);
    this.#later = copied(new Int32Array(room), this.#later);
    this.#buckets = new Int32Array(room).fill(NONE);
    for (let entry = 0; entry < this.#unused; entry++) this.#hang(entry);
  }
}

function at(array: Int32Array | Float64Array, index: number): number {
  return array[index] as number;
}

function copied<T extends Int32Array | Float64Array>(into: T, from: T): T {
  into.set(from);
  return into;
}

/** 53 bits of a key, which is a hash already: among a hundred thousand people two fall together once in a million runs. */
function hashOf(key: string): number {
  let low = 0x811c9dc5;
  let high = 0x9747b28c;
  for (let index = 0; index < key.length; index++) {
    const code = key.charCodeAt(index);
    low = Math.imul(low ^ code, 0x01000193);
    high = Math.imul(high ^ code, 0x5bd1e995);
    high ^= high >>> 15;
  }
  low ^= low >>> 13;
  return (high & 0x1fffff) * 0x1_0000_0000 + (low >>> 0);
}
