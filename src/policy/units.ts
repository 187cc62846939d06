/** Durations and sizes as the configuration writes them. */

const MS_OF_UNIT = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
const BYTES_OF_UNIT = { B: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 } as const;

export const DURATION_PATTERN = /^[1-9][0-9]{0,8}(?:ms|s|m|h|d)$/;
export const SIZE_PATTERN = /^[1-9][0-9]{0,14}(B|KiB|MiB|GiB)?$/;

export const DURATION_EXPECTED = 'a duration such as 90s, 15m, 24h or 30d';
export const SIZE_EXPECTED = 'a size such as 512, 4KiB or 1MiB';

/** Milliseconds, or undefined if the text is not a duration. */
export function parseDuration(text: string): number | undefined {
  if (!DURATION_PATTERN.test(text)) return undefined;
  const count = Number.parseInt(text, 10);
  return count * MS_OF_UNIT[text.slice(String(count).length) as keyof typeof MS_OF_UNIT];
}

/** Bytes, or undefined if the text is not a size that a number can hold exactly. */
export function parseSize(text: string): number | undefined {
  const match = SIZE_PATTERN.exec(text);
  if (match === null) return undefined;
  const unit = (match[1] ?? 'B') as keyof typeof BYTES_OF_UNIT;
  const bytes = Number.parseInt(text, 10) * BYTES_OF_UNIT[unit];
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}

/** `90s`, `15m`, `24h`, `30d`: the largest unit that tells the duration exactly. */
export function formatDuration(ms: number): string {
  for (const unit of ['d', 'h', 'm'] as const) {
    if (ms >= MS_OF_UNIT[unit] && ms % MS_OF_UNIT[unit] === 0) return `${ms / MS_OF_UNIT[unit]}${unit}`;
  }
  return ms % MS_OF_UNIT.s === 0 ? `${ms / MS_OF_UNIT.s}s` : `${ms}ms`;
}

/** `512 B`, `1.5 MiB`. */
export function formatSize(bytes: number): string {
  for (const unit of ['GiB', 'MiB', 'KiB'] as const) {
    if (bytes >= BYTES_OF_UNIT[unit]) return `${Math.round((bytes / BYTES_OF_UNIT[unit]) * 10) / 10} ${unit}`;
  }
  return `${bytes} B`;
}

/** For people: `in 12 minutes`. Rounds up, so that nobody comes back too early. */
export function durationInWords(ms: number): string {
  const steps = [
    { unit: 'second', ms: MS_OF_UNIT.s, below: 120 },
    { unit: 'minute', ms: MS_OF_UNIT.m, below: 120 },
    { unit: 'hour', ms: MS_OF_UNIT.h, below: 48 },
    { unit: 'day', ms: MS_OF_UNIT.d, below: Number.POSITIVE_INFINITY },
  ] as const;
  for (const step of steps) {
    const count = Math.max(1, Math.ceil(ms / step.ms));
    if (count < step.below) return count === 1 ? `1 ${step.unit}` : `${count} ${step.unit}s`;
  }
  return `${ms} ms`;
}
