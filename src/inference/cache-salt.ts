import { createHmac } from 'node:crypto';
import type { TenantId } from '#app/ids.ts';

/**
 * vLLM keys its prefix cache with this, so that no tenant can time whether another one's prompt is cached. Keyed
 * with a secret, because tenant ids can be guessed.
 */
export const cacheSaltOf = (secret: string, tenantId: TenantId): string =>
  createHmac('sha256', secret).update(tenantId).digest('base64url');
