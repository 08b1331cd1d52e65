import { setTimeout as delay } from 'node:timers/promises';
import type { ChildService } from '../child-service.ts';
import { eventually } from '../http-client.ts';
import { type ServiceName, startServiceProcess } from '../start-service-process.ts';
import type { Front } from './front.ts';

export type Member = Readonly<{ service: ServiceName; url: string; child: ChildService }>;

type MemberOptions = Readonly<{ service: ServiceName; cwd: string; env: Readonly<Record<string, string>> }>;

const READY_MS = 60_000;
/** Longer than any drain of a test. */
const STOP_MS = 60_000;

/** The replicas of one service behind their front. */
export class ServiceGroup {
  readonly front: Front;
  readonly members: Member[] = [];
  /** All that ever ran, for their logs. */
  readonly children: ChildService[] = [];
  readonly #options: MemberOptions;
  readonly #asked = new Set<ChildService>();

  constructor(front: Front, options: MemberOptions) {
    this.front = front;
    this.#options = options;
  }

  /** Starts a replica, and waits until the front sends it requests. `env` is its own, beside what all have. */
  async add(env: Readonly<Record<string, string>> = {}): Promise<Member> {
    const { service, cwd } = this.#options;
    const { child, url } = await startServiceProcess({
      service,
      cwd,
      env: { ...this.#options.env, ...env },
      onSpawn: (spawned) => this.children.push(spawned),
    });
    const member = { service, url, child };
    this.members.push(member);
    this.front.add(url);
    await eventually(
      `${service} is ready`,
      async () => (this.front.isReady(url) ? true : undefined),
      READY_MS,
    );
    return member;
  }

  /** Stops the oldest replica as Kubernetes does, by SIGTERM, and lets it end in its own time. */
  async stopOldest(): Promise<void> {
    const [member] = this.members;
    if (member !== undefined) await this.stop(member);
  }

  async stop(member: Member): Promise<void> {
    this.#asked.add(member.child);
    await member.child.stop(STOP_MS);
    this.#forget(member);
  }

  /** `kill -9`. The front finds out by itself. */
  async kill(member: Member): Promise<void> {
    this.#asked.add(member.child);
    await member.child.kill();
    setTimeout(() => this.#forget(member), 2_000).unref();
  }

  /** One after the other: the new replica is there before the old one is asked to stop. */
  async roll(): Promise<void> {
    await this.add();
    await this.stopOldest();
  }

  /** What the old one has cannot be shared: the new one waits, loaded, until it is gone. */
  async handOver(): Promise<void> {
    const adding = this.add();
    const failing = adding.then(
      () => true,
      () => true,
    );
    await eventually(`the new ${this.#options.service} waits`, async () => {
      const isEarly = await Promise.race([failing, delay(20, false)]);
      return isEarly || this.children.at(-1)?.stdout().includes('"data_directory_in_use"') ? true : undefined;
    });
    await this.stopOldest();
    await adding;
  }

  /** Replicas that ended although no one asked them to, with how, and their last words. */
  async unexpectedExits(): Promise<string[]> {
    const gone = this.children.filter((child) => child.hasExited() && !this.#asked.has(child));
    return Promise.all(
      gone.map(
        async (child) =>
          `${child.name} ${child.pid}: ${await child.exited}\n${child.stderr().slice(-1_000)}${child.stdout().slice(-1_000)}`,
      ),
    );
  }

  async dispose(): Promise<void> {
    await Promise.all(this.members.map(({ child }) => child.stop(5_000)));
    await this.front.close();
  }

  #forget(member: Member): void {
    this.front.remove(member.url);
    const place = this.members.indexOf(member);
    if (place >= 0) this.members.splice(place, 1);
  }
}
