// CPU time and memory of processes by the kernel's own accounting (proc(5), /proc/PID/stat).
import { readdirSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';

/** CLK_TCK of Linux on every architecture that Node runs on. */
const TICK_SECONDS = 0.01;

/**
 * Fields of /proc/PID/stat after the name, which may itself hold spaces and parentheses.
 * @param {number} pid
 * @returns {readonly string[] | undefined} undefined if the process is gone
 */
function statFields(pid) {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return text.slice(text.lastIndexOf(')') + 2).split(' ');
  } catch {
    return undefined;
  }
}

/**
 * A process and its descendants.
 * @param {number} root
 * @returns {number[]}
 */
export function tree(root) {
  /** @type {Map<number, number[]>} */
  const children = new Map();
  for (const name of readdirSync('/proc')) {
    const pid = Number(name);
    if (!Number.isInteger(pid)) continue;
    const parent = Number(statFields(pid)?.[1]);
    children.set(parent, [...(children.get(parent) ?? []), pid]);
  }
  const found = [root];
  for (const pid of found) found.push(...(children.get(pid) ?? []));
  return found;
}

/**
 * utime + stime of a process and its descendants, those included that have ended and were waited for (cutime, cstime).
 * @param {number} root
 */
export function cpuSeconds(root) {
  let ticks = 0;
  for (const pid of tree(root)) {
    const fields = statFields(pid);
    if (fields !== undefined) for (const field of fields.slice(11, 15)) ticks += Number(field);
  }
  return ticks * TICK_SECONDS;
}

/** Of processes that this one started, that have ended and that were waited for. */
export function endedChildrenSeconds() {
  return (statFields(process.pid) ?? []).slice(13, 15).reduce((sum, ticks) => sum + Number(ticks), 0) * TICK_SECONDS;
}

/**
 * What all cores did since the machine was started, in seconds: `busy` with everything but waiting, `stolen` by the host for other machines (proc(5), /proc/stat).
 */
export function machineSeconds() {
  const [user, nice, system, , , irq, softirq, stolen] = (/^cpu +(.*)$/m.exec(readFileSync('/proc/stat', 'utf8'))?.[1] ?? '').split(' ').map((ticks) => Number(ticks) * TICK_SECONDS);
  return { busy: user + nice + system + irq + softirq, stolen };
}

/**
 * Begins to watch what this process and those that it starts leave of the cores to others.
 * @returns {() => { others: number, stolen: number }} parts of all cores' time since then
 */
export function watchOthers() {
  const now = () => ({ ...machineSeconds(), own: cpuSeconds(process.pid), atMs: performance.now() });
  const begun = now();
  return () => {
    const { busy, stolen, own, atMs } = now();
    const all = ((atMs - begun.atMs) / 1000) * availableParallelism();
    return { others: Math.max(0, busy - begun.busy - (own - begun.own)) / all, stolen: (stolen - begun.stolen) / all };
  };
}

/**
 * Proportional set size where the kernel tells it, so that pages shared between processes count once; else the resident size.
 * @param {number} root
 */
export function memoryBytes(root) {
  let kibibytes = 0;
  for (const pid of tree(root)) {
    try {
      kibibytes += Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))?.[1] ?? 0);
    } catch {
      kibibytes += Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0);
    }
  }
  return kibibytes * 1024;
}
