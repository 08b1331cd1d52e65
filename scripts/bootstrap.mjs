/**
 * Installs what the clone needs, where it is missing or older than package-lock.json, and does nothing
 * otherwise. Runs before `npm start`, `npm test` and the other scripts, on whatever Node the machine has, so
 * it uses Node's own modules alone. Everything after it runs on the Node 24 that it installed.
 */
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  linkSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const OLDEST_NODE = 20;
const NEEDED_NODE = 24;
const NETWORK_FAILURE =
  /ECONNRESET|ECONNREFUSED|ETIMEDOUT|ENOTFOUND|EAI_AGAIN|EPIPE|ERR_SOCKET_TIMEOUT|network|socket hang up|\bE(?:429|5\d\d)\b/;

/** The Node that the clone brings along. */
export const nodeBinary = (root = ROOT) =>
  join(root, 'node_modules', 'node', 'bin', process.platform === 'win32' ? 'node.exe' : 'node');

const stampFile = (root) => join(root, 'node_modules', '.bulkhead-installed.json');

function fingerprint(root, production) {
  const hash = createHash('sha256')
    .update(readFileSync(join(root, 'package-lock.json')))
    .digest('hex');
  return JSON.stringify({ lock: hash, system: `${process.platform}-${process.arch}`, production });
}

const readOrNull = (file) => {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return null;
  }
};

/**
 * `ready`: installed as package-lock.json says. `missing`: never, or never to the end. `stale`: another lockfile.
 * An install by hand counts: npm's own record of it is compared, package by package.
 */
export function installState(root, production = false) {
  if (!existsSync(nodeBinary(root))) return 'missing';
  const stamp = readOrNull(stampFile(root));
  if (stamp === fingerprint(root, production)) return 'ready';
  const installed = readOrNull(join(root, 'node_modules', '.package-lock.json'));
  if (installed === null) return 'missing';
  return agrees(
    JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')).packages,
    JSON.parse(installed).packages,
    production,
  )
    ? 'ready'
    : 'stale';
}

/** Optional packages may be absent (other systems), development ones in production; versions must be equal. */
function agrees(wanted, installed, production) {
  return Object.entries(wanted).every(([path, { version, optional, dev, devOptional, peer }]) => {
    if (path === '') return true;
    const found = installed[path];
    if (found !== undefined) return found.version === version;
    return optional === true || devOptional === true || peer === true || (production && dev === true);
  });
}

/** How to run npm: the one that runs us, or the one on the path. */
function npmCommand() {
  const running = process.env.npm_execpath;
  if (running !== undefined && basename(running) === 'npm-cli.js' && existsSync(running)) {
    return { file: process.execPath, prefix: [running], shell: false };
  }
  return process.platform === 'win32'
    ? { file: 'npm.cmd', prefix: [], shell: true }
    : { file: 'npm', prefix: [], shell: false };
}

/** Runs npm; resolves with its exit code and what it said. Its own progress is hidden: ours is enough. */
function runNpm(root, args, onStart) {
  const { file, prefix, shell } = npmCommand();
  return new Promise((resolve, reject) => {
    const child = spawn(file, [...prefix, ...args], {
      cwd: root,
      shell,
      stdio: ['ignore', 'pipe', 'pipe'],
      // The CPU runtime is inside onnxruntime-node; its install script would fetch CUDA's.
      env: { ...process.env, ONNXRUNTIME_NODE_INSTALL: 'skip' },
    });
    let output = '';
    const collect = (chunk) => {
      output = (output + chunk).slice(-20_000);
    };
    child.stdout.on('data', collect);
    child.stderr.on('data', collect);
    const forward = (signal) => {
      child.kill(signal);
      process.exitCode = 130;
    };
    process.once('SIGINT', forward).once('SIGTERM', forward);
    child.once('error', reject);
    child.once('close', (code, signal) => {
      process.removeListener('SIGINT', forward).removeListener('SIGTERM', forward);
      resolve({ code, signal, output });
    });
    if (child.pid !== undefined) onStart(child.pid);
  });
}

/** One line on a terminal that counts seconds; elsewhere a line at the start and one every 20 seconds. */
function startProgress(text) {
  const started = Date.now();
  const seconds = () => Math.round((Date.now() - started) / 1000);
  const tty = process.stderr.isTTY === true;
  process.stderr.write(tty ? `${text} …` : `${text} …\n`);
  const timer = setInterval(
    () => process.stderr.write(tty ? `\r${text} … ${seconds()} s` : `${text} … ${seconds()} s\n`),
    tty ? 1_000 : 20_000,
  );
  return (result) => {
    clearInterval(timer);
    process.stderr.write(
      tty ? `\r\u001b[2K${text}: ${result} (${seconds()} s)\n` : `${text}: ${result} (${seconds()} s)\n`,
    );
  };
}

const isAlive = (pid) => {
  if (!Number.isInteger(pid) || pid <= 0 || pid === process.pid) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
};

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

const olderThan = (file, ms) => {
  try {
    return Date.now() - statSync(file).mtimeMs > ms;
  } catch {
    return false;
  }
};

/** Removes a lock whose processes are gone. A second lock guards the removal, so that no live lock is removed. */
function removeStaleLock(lockFile) {
  const guard = `${lockFile}.takeover`;
  if (olderThan(guard, 10_000)) rmSync(guard, { force: true });
  try {
    writeFileSync(guard, String(process.pid), { flag: 'wx' });
  } catch {
    return;
  }
  try {
    const holders = readOrNull(lockFile);
    if (holders !== null && !holders.split(/\s+/).some((pid) => isAlive(Number(pid)))) unlinkSync(lockFile);
  } finally {
    rmSync(guard, { force: true });
  }
}

/**
 * Takes the lock, waiting for a run that is under way. The file holds the pid of its owner and of its npm:
 * killing the owner alone leaves npm at work, and two at once would ruin node_modules.
 */
export async function takeInstallLock(root, onWait = () => {}) {
  const directory = join(root, '.cache');
  const lockFile = join(directory, 'install.lock');
  const mine = `${lockFile}.${process.pid}`;
  mkdirSync(directory, { recursive: true });
  writeFileSync(mine, `${process.pid}`);
  try {
    for (let waited = false; ; waited = true) {
      try {
        linkSync(mine, lockFile);
        break;
      } catch (error) {
        if (error.code !== 'EEXIST') throw error;
      }
      removeStaleLock(lockFile);
      if (!existsSync(lockFile)) continue;
      if (!waited) onWait();
      await sleep(300);
    }
  } finally {
    rmSync(mine, { force: true });
  }
  const release = () => rmSync(lockFile, { force: true });
  process.once('exit', release);
  return {
    addPid: (pid) => writeFileSync(lockFile, `${process.pid} ${pid}`),
    release: () => {
      process.removeListener('exit', release);
      release();
    },
  };
}

class BootstrapError extends Error {}

/** `npm ci`; once more after a network failure; `npm install` where package.json is ahead of the lockfile. */
async function install(root, production, addPid) {
  const options = [
    '--loglevel=error',
    '--no-fund',
    '--no-audit',
    '--fetch-retry-mintimeout=1000',
    '--fetch-retry-maxtimeout=10000',
    production ? '--omit=dev' : '--include=dev',
  ];
  const done = startProgress('Installing dependencies');
  rmSync(stampFile(root), { force: true });
  let args = ['ci', ...options];
  for (let retried = false; ; ) {
    const { code, signal, output } = await runNpm(root, args, addPid).catch((error) => {
      done('failed');
      throw new BootstrapError(
        error.code === 'ENOENT'
          ? 'npm is not on the path. Install Node.js with npm from https://nodejs.org.'
          : error.message,
      );
    });
    if (code === 0) return done('done');
    if (signal !== null || process.exitCode === 130) {
      done('stopped');
      throw new BootstrapError('The installation was stopped. Start again to complete it.');
    }
    if (args[0] === 'ci' && output.includes('EUSAGE')) {
      args = ['install', '--no-save', ...options];
      process.stderr.write(
        '\npackage-lock.json is behind package.json; installing what package.json says …\n',
      );
    } else if (!retried && NETWORK_FAILURE.test(output)) {
      retried = true;
      process.stderr.write('\nThe network failed; trying once more …\n');
    } else {
      done('failed');
      throw new BootstrapError(`npm ${args[0]} failed:\n\n${output.trim()}`);
    }
  }
}

function checkNode(root) {
  const { status, stdout, error } = spawnSync(nodeBinary(root), ['--version'], { encoding: 'utf8' });
  const major = Number(/^v(\d+)\./.exec(stdout ?? '')?.[1]);
  if (status === 0 && major >= NEEDED_NODE) return;
  const found =
    status === 0 ? `is ${stdout.trim()}` : `does not run (${error?.message ?? `exit code ${status}`})`;
  throw new BootstrapError(
    `The Node.js in node_modules ${found}; ${NEEDED_NODE} is needed.\n` +
      'It needs glibc on Linux (Alpine has musl). If npm was told to ignore install scripts, allow them: ' +
      'npm config delete ignore-scripts',
  );
}

/** Makes node_modules right. Near-instant when it is already. Throws an error whose message is for people. */
export async function ensureInstalled(root = ROOT) {
  const production = process.env.NODE_ENV === 'production';
  if (installState(root, production) !== 'ready') {
    const lock = await takeInstallLock(root, () =>
      process.stderr.write('Another process is installing dependencies; waiting for it …\n'),
    );
    try {
      if (installState(root, production) !== 'ready') {
        await install(root, production, lock.addPid);
        checkNode(root);
      }
    } finally {
      lock.release();
    }
  }
  const stamp = fingerprint(root, production);
  if (readOrNull(stampFile(root)) === stamp) return;
  checkNode(root);
  writeFileSync(stampFile(root), stamp);
}

async function main() {
  const major = Number(process.versions.node.split('.')[0]);
  if (major < OLDEST_NODE) {
    process.stderr.write(
      `Bulkhead needs Node.js ${OLDEST_NODE} or newer to install itself; this is ${process.version}.\n` +
        'Get a newer one from https://nodejs.org.\n',
    );
    process.exitCode = 1;
    return;
  }
  try {
    await ensureInstalled();
  } catch (error) {
    process.stderr.write(`${error instanceof BootstrapError ? error.message : error.stack}\n`);
    process.exitCode ||= 1;
  }
}

if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url))
  await main();
