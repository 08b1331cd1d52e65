import { execFileSync } from 'node:child_process';
import { readFileSync, readlinkSync } from 'node:fs';
import { hostname } from 'node:os';

/**
 * Where process ids mean the same thing: this host and, on Linux, this pid namespace. Two containers may share
 * a host name, and both call their first process 1.
 */
export function pidSpace(): string {
  try {
    return `${hostname()} ${readlinkSync('/proc/self/ns/pid')}`;
  } catch {
    return hostname();
  }
}

type ProcStat = { state: string; startTicks: string };

/** Linux: what /proc says of a process; null elsewhere, and where there is no such process. */
function procStat(pid: number): ProcStat | null {
  try {
    // The name in parentheses, field 2, may itself hold spaces and parentheses.
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ');
    const state = fields?.[0];
    const startTicks = fields?.[19];
    return state === undefined || startTicks === undefined ? null : { state, startTicks };
  } catch {
    return null;
  }
}

/**
 * When the process with this id began, in a form that only equality is defined on: process ids are used
 * again. null: the system does not tell, or there is no such process.
 */
export function processStart(pid: number): string | null {
  try {
    if (process.platform === 'linux') {
      const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
      const found = procStat(pid);
      return found === null ? null : `${boot} ${found.startTicks}`;
    }
    if (process.platform === 'win32') return null;
    const started = execFileSync('ps', ['-o', 'lstart=', '-p', String(pid)], { encoding: 'utf8' }).trim();
    return started === '' ? null : started;
  } catch {
    return null;
  }
}

/** Whether a process of this id runs, whoever owns it. One that was killed and not yet reaped does not. */
export function isRunning(pid: number): boolean {
  const state = procStat(pid)?.state;
  if (state === 'Z' || state === 'X') return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}
