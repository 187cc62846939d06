// Which cores programs may run on (taskset of util-linux, sched_setaffinity(2)).
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { tree } from './processes.mjs';

/** @returns {readonly number[]} those that this process may use */
export function allowedCores() {
  const list = /^Cpus_allowed_list:\s+(\S+)/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '';
  return list.split(',').flatMap((range) => {
    const [first = NaN, last = first] = range.split('-').map(Number);
    return Array.from({ length: last - first + 1 }, (_, i) => first + i);
  });
}

/**
 * All threads of all processes of a tree; those that they start later have the same cores.
 * @param {number} root
 * @param {readonly number[]} cores
 */
export function pin(root, cores) {
  for (const pid of tree(root)) {
    try {
      execFileSync('taskset', ['-a', '-c', '-p', cores.join(','), String(pid)], { stdio: 'pipe' });
    } catch (error) {
      // It may have ended meanwhile.
      if (readState(pid)) throw error;
    }
  }
}

/** @param {number} pid */
function readState(pid) {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'utf8') !== '';
  } catch {
    return false;
  }
}
