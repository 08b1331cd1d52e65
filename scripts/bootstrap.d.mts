export type InstallState = 'ready' | 'missing' | 'stale';
export type InstallLock = { addPid(pid: number): void; release(): void };

export function nodeBinary(root?: string): string;
export function installState(root: string, production?: boolean): InstallState;
export function takeInstallLock(root: string, onWait?: () => void): Promise<InstallLock>;
export function ensureInstalled(root?: string): Promise<void>;
