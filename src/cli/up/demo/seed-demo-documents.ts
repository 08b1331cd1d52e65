import { createReadStream } from 'node:fs';
import { basename, join } from 'node:path';
import { withErrorListener } from '#app/faults/with-error-listener.ts';
import { type DocumentId, newRequestId, tenantIdSchema, userIdSchema } from '#app/ids.ts';
import type { RagService } from '#app/services/rag-service.ts';
import { createTenantContext, SCOPES_OF_ROLE, type TenantContext } from '#app/tenant-context.ts';
import type { DemoState } from '#cli/up/demo/demo-state.ts';
import { DEMO_TENANTS, type DemoTenantPlan } from '#cli/up/demo/demo-tenants.ts';
import { findInPackage } from '#cli/up/demo/find-in-package.ts';

export type SeededDocument = Readonly<{ context: TenantContext; documentId: DocumentId }>;

type Vault = Readonly<{ plan: DemoTenantPlan; context: TenantContext; directory: string }>;

/**
 * Adds the demo documents that were never added, one tenant in turn with the other. What a user deleted stays
 * deleted. Resolves, in this order, with every document that was ever added: some are still to be indexed.
 */
export async function seedDemoDocuments(options: {
  rag: RagService;
  state: DemoState;
  signal: AbortSignal;
  log: (message: string) => void;
}): Promise<SeededDocument[]> {
  const vaults = DEMO_TENANTS.flatMap((plan) => openVault(plan, options));
  const longest = Math.max(0, ...vaults.map(({ plan }) => plan.files.length));
  const seeded: SeededDocument[] = [];
  for (let place = 0; place < longest; place++) {
    for (const vault of vaults) {
      const file = vault.plan.files[place];
      if (file === undefined) continue;
      seeded.push({
        context: vault.context,
        documentId: await addUnlessAdded(vault, file, options),
      });
    }
  }
  return seeded;
}

function openVault(
  plan: DemoTenantPlan,
  { state, log }: { state: DemoState; log: (message: string) => void },
): Vault[] {
  if (state.of(plan.tenantId)?.status !== 'created') return [];
  const directory = findInPackage(plan.packageName, plan.directory);
  if (directory === null) {
    log(
      `Demo: ${plan.packageName}’s documentation is not installed, so ${plan.tenantId} has no documents. ` +
        'Install it with: npm ci',
    );
    return [];
  }
  const context = createTenantContext({
    tenantId: tenantIdSchema.parse(plan.tenantId),
    userId: userIdSchema.parse(plan.adminId),
    role: 'admin',
    scopes: SCOPES_OF_ROLE.admin,
    keyId: null,
    requestId: newRequestId(),
  });
  return [{ plan, context, directory }];
}

async function addUnlessAdded(
  { plan, context, directory }: Vault,
  file: string,
  { rag, state, signal }: { rag: RagService; state: DemoState; signal: AbortSignal },
): Promise<DocumentId> {
  const known = state.of(plan.tenantId);
  if (known?.status !== 'created') throw new Error(`The demo tenant ${plan.tenantId} is not made yet.`);
  const remember = (documentId: DocumentId | null) =>
    state.set(plan.tenantId, { ...known, documents: { ...known.documents, [file]: documentId } });

  const added = known.documents[file];
  if (added !== undefined && added !== null) return added;
  const filename = basename(file);
  // null: a start ended while it was being added, so it may be there.
  const there = added === null ? await findByName(rag, context, filename, signal) : undefined;
  if (there !== undefined) {
    await remember(there);
    return there;
  }
  await remember(null);
  const document = await rag.addDocument(
    context,
    { filename, media_type: 'text/markdown', visibility: 'tenant', title: titleOf(filename) },
    withErrorListener(createReadStream(join(directory, file))),
    signal,
  );
  await remember(document.document_id);
  return document.document_id;
}

const titleOf = (filename: string): string => filename.replace(/\.md$/, '').replaceAll('-', ' ');

async function findByName(
  rag: RagService,
  context: TenantContext,
  filename: string,
  signal: AbortSignal,
): Promise<DocumentId | undefined> {
  const page = await rag.listDocuments(context, { limit: 100 }, signal);
  return page.data.find((document) => document.filename === filename && document.user_id === context.userId)
    ?.document_id;
}
