import { type Effects, manyTimes, NO_EFFECTS, opaqueEffects } from './effects.ts';

interface Frame {
  readonly key: string;
  /** The lowest frame that this one leads back to. */
  low: number;
  /** It calls itself, and the result of the inner call can come back in its own. */
  recurs: boolean;
  /** It leads back to itself, whatever comes of it. */
  circles: boolean;
}

/** Writing, and making values. */
const GIVES_NOTHING_BACK = /^[wv]/;
/** Deeper chains of functions, views and triggers are not followed. */
const MOST_FRAMES = 250;

/**
 * Effects of things that lead to each other, found once each. Functions call functions, triggers write to tables that have triggers: what leads back to something
 * that is being worked out adds nothing to it there, and everything on the way round gets the effects of the whole circle (strongly connected components, after Tarjan).
 */
export class EffectsMemo {
  readonly #known = new Map<string, Effects>();
  readonly #frames: Frame[] = [];
  readonly #underWay = new Map<string, number>();
  /** Worked out, but for what a lower frame will add. */
  readonly #waiting = new Map<string, { readonly effects: Effects; readonly low: number }>();

  get busy(): boolean {
    return this.#frames.length > 0;
  }

  /** `kind`: `r` for reading a relation; one that is defined by itself alone the server refuses to read ("infinite recursion detected"). `w` for writing to a relation, `v` for making a value of a type: triggers and checks give nothing back to who does. */
  of(kind: 'r' | 'w' | 'm' | 'f' | 't' | 'v', oid: number, work: () => Effects): Effects {
    const key = `${kind}${oid}`;
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const at = this.#underWay.get(key);
    if (at !== undefined) return this.#frames.slice(at).every((frame) => frame.key.startsWith('r')) ? opaqueEffects('a view or policy is defined in terms of itself') : this.#backTo(at);
    const waiting = this.#waiting.get(key);
    if (waiting !== undefined) {
      this.#lower(waiting.low);
      return waiting.effects;
    }
    if (this.#frames.length >= MOST_FRAMES) return opaqueEffects('functions and triggers call each other too deep');
    return this.#workOut(key, work);
  }

  #backTo(at: number): Effects {
    this.#lower(at);
    const frame = this.#frames[at];
    if (frame !== undefined) frame.circles = true;
    if (frame !== undefined && this.#frames.slice(at).every(({ key }) => !GIVES_NOTHING_BACK.test(key))) frame.recurs = true;
    return NO_EFFECTS;
  }

  #lower(to: number): void {
    const frame = this.#frames.at(-1);
    if (frame !== undefined && to < frame.low) frame.low = to;
  }

  #workOut(key: string, work: () => Effects): Effects {
    const at = this.#frames.length;
    const frame: Frame = { key, low: at, recurs: false, circles: false };
    this.#frames.push(frame);
    this.#underWay.set(key, at);
    let effects: Effects;
    try {
      effects = work();
    } finally {
      this.#frames.pop();
      this.#underWay.delete(key);
    }
    if (frame.circles) effects = manyTimes(effects);
    if (frame.recurs) effects = packing(effects);
    if (frame.low < at) {
      this.#lower(frame.low);
      this.#waiting.set(key, { effects, low: frame.low });
      return effects;
    }
    this.#known.set(key, effects);
    // What waited for this frame is part of its circle, and so has come together here.
    for (const [other, { low }] of this.#waiting) {
      if (low < at) continue;
      this.#waiting.delete(other);
      this.#known.set(other, effects);
    }
    return effects;
  }
}

/** A routine that calls itself can put any number of rows into one value. */
function packing(effects: Effects): Effects {
  return { ...effects, classes: new Map([...effects.classes].map(([name, effect]) => [name, { ...effect, packs: true }])) };
}
