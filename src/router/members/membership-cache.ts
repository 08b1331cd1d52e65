import type { TenantId, UserId } from '#app/ids.ts';
import { RecentMap } from '#app/recent-map.ts';
import type { Member } from '#app/schemas/member.ts';
import { createBatcher } from '#router/batcher.ts';
import type { MemberName, MemberStore } from '#router/members/member-store.ts';
import { within } from '#router/within.ts';

const MIN_REMEMBERED = 5_000;
const MAX_BATCH = 200;
const TIMEOUT_MS = 3_000;

export interface MembershipCache {
  /**
   * What the tenant says of the user as of `membersVersion`, or later; null where it says nothing. Throws
   * `service_unavailable` where the database cannot say.
   */
  membershipOf(tenantId: TenantId, userId: UserId, membersVersion: number): Promise<Member | null>;
}

type Remembered = { member: Member | null; version: number };

/**
 * Memberships, remembered as long as the tenant's count of member changes stays: it travels with the tenant's policy, so
 * this is as fresh as the policy is, and asks nothing while nothing changes.
 */
export function createMembershipCache(options: { store: Pick<MemberStore, 'findMany'> }): MembershipCache {
  const remembered = new RecentMap<string, Remembered>(MIN_REMEMBERED);
  const lookUp = createBatcher<MemberName, { member: Member | null }>({
    maxSize: MAX_BATCH,
    run: async (names) => (await options.store.findMany(names)).map((member) => ({ member })),
  });

  return {
    async membershipOf(tenantId, userId, version) {
      // Nobody was ever listed or removed.
      if (version === 0) return null;
      const name = `${tenantId}/${userId}`;
      const known = remembered.get(name);
      if (known?.version === version) return known.member;
      const { member } = await within(
        lookUp({ tenantId, userId }),
        TIMEOUT_MS,
        'Memberships cannot be checked now.',
      );
      remembered.set(name, { member, version });
      return member;
    },
  };
}
