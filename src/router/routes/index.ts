import { createPermissions } from '#router/http/permissions.ts';
import type { RouterApp, RouterServices } from '#router/router-services.ts';
import { addPrices } from '#router/routes/admin/add-prices.ts';
import { createKey } from '#router/routes/admin/create-key.ts';
import { createTenant } from '#router/routes/admin/create-tenant.ts';
import { dryRunPolicy } from '#router/routes/admin/dry-run-policy.ts';
import { eraseTenant } from '#router/routes/admin/erase-tenant.ts';
import { exportTenant } from '#router/routes/admin/export-tenant.ts';
import { getConfigVersion } from '#router/routes/admin/get-config-version.ts';
import { getRequest } from '#router/routes/admin/get-request.ts';
import { getTenant } from '#router/routes/admin/get-tenant.ts';
import { getTenantUsage } from '#router/routes/admin/get-tenant-usage.ts';
import { listAudit } from '#router/routes/admin/list-audit.ts';
import { listConfigVersions } from '#router/routes/admin/list-config-versions.ts';
import { listKeys } from '#router/routes/admin/list-keys.ts';
import { listPrices } from '#router/routes/admin/list-prices.ts';
import { listRequests } from '#router/routes/admin/list-requests.ts';
import { listTenants } from '#router/routes/admin/list-tenants.ts';
import { listUsageByTenant } from '#router/routes/admin/list-usage-by-tenant.ts';
import { acceptInvitation } from '#router/routes/admin/members/accept-invitation.ts';
import { addMember } from '#router/routes/admin/members/add-member.ts';
import { changeMember } from '#router/routes/admin/members/change-member.ts';
import { invite } from '#router/routes/admin/members/invite.ts';
import { listInvitations } from '#router/routes/admin/members/list-invitations.ts';
import { listMembers } from '#router/routes/admin/members/list-members.ts';
import { removeMember } from '#router/routes/admin/members/remove-member.ts';
import { revokeInvitation } from '#router/routes/admin/members/revoke-invitation.ts';
import { patchTenant } from '#router/routes/admin/patch-tenant.ts';
import { restoreConfigVersion } from '#router/routes/admin/restore-config-version.ts';
import { revokeKey } from '#router/routes/admin/revoke-key.ts';
import { rotateKey } from '#router/routes/admin/rotate-key.ts';
import { verifyAudit } from '#router/routes/admin/verify-audit.ts';
import { chat } from '#router/routes/chat/chat.ts';
import { chatCompletions } from '#router/routes/chat/chat-completions.ts';
import { createCompletion } from '#router/routes/chat/create-completion.ts';
import { createEmbeddings } from '#router/routes/chat/create-embeddings.ts';
import { createResponse } from '#router/routes/chat/create-response.ts';
import { getModel } from '#router/routes/chat/get-model.ts';
import { listModels } from '#router/routes/chat/list-models.ts';
import { deleteConversation } from '#router/routes/conversations/delete-conversation.ts';
import { getConversation } from '#router/routes/conversations/get-conversation.ts';
import { listConversations } from '#router/routes/conversations/list-conversations.ts';
import { createFile } from '#router/routes/files/create-file.ts';
import { deleteFile } from '#router/routes/files/delete-file.ts';
import { getFile } from '#router/routes/files/get-file.ts';
import { getFileContent } from '#router/routes/files/get-file-content.ts';
import { listFiles } from '#router/routes/files/list-files.ts';
import { cancelResponse } from '#router/routes/kept-responses/cancel-response.ts';
import { deleteResponse } from '#router/routes/kept-responses/delete-response.ts';
import { getResponse } from '#router/routes/kept-responses/get-response.ts';
import { listInputItems } from '#router/routes/kept-responses/list-input-items.ts';
import { health } from '#router/routes/public/health.ts';
import { landingPage } from '#router/routes/public/landing-page.ts';
import { openApiDocument } from '#router/routes/public/openapi-document.ts';
import { ready } from '#router/routes/public/ready.ts';
import { getUsage } from '#router/routes/usage/get-usage.ts';
import { deleteDocument } from '#router/routes/vault/delete-document.ts';
import { getDocument } from '#router/routes/vault/get-document.ts';
import { getDocumentContent } from '#router/routes/vault/get-document-content.ts';
import { getDocumentText } from '#router/routes/vault/get-document-text.ts';
import { listDocuments } from '#router/routes/vault/list-documents.ts';
import { searchVault } from '#router/routes/vault/search-vault.ts';
import { uploadDocument } from '#router/routes/vault/upload-document.ts';
import { attachVectorStoreFile } from '#router/routes/vector-stores/attach-vector-store-file.ts';
import { getVectorStore } from '#router/routes/vector-stores/get-vector-store.ts';
import { getVectorStoreFile } from '#router/routes/vector-stores/get-vector-store-file.ts';
import { getVectorStoreFileContent } from '#router/routes/vector-stores/get-vector-store-file-content.ts';
import { listVectorStoreFiles } from '#router/routes/vector-stores/list-vector-store-files.ts';
import { listVectorStores } from '#router/routes/vector-stores/list-vector-stores.ts';
import { searchVectorStore } from '#router/routes/vector-stores/search-vector-store.ts';

/** Who may call what. A route that is not below does not exist. */
export function addRoutes(app: RouterApp, services: RouterServices): void {
  const may = createPermissions(app, services);

  may.anyone(health, ready, openApiDocument, landingPage);

  // The turn's own route (rag, chat, direct) is put to allowed_routes once the body is read.
  may.tenant(
    { scope: 'chat', policy: null, countedAs: 'chat' },
    chat,
    chatCompletions,
    createCompletion,
    createResponse,
  );
  // Plain model work without the vault, so it goes with the direct route.
  may.tenant({ scope: 'chat', policy: 'direct', countedAs: 'embeddings' }, createEmbeddings);
  may.tenant({ scope: null, policy: null, countedAs: 'models' }, listModels, getModel);

  may.tenant(
    { scope: 'vault:read', policy: 'vault', countedAs: 'vault' },
    listDocuments,
    getDocument,
    getDocumentContent,
    getDocumentText,
    listFiles,
    getFile,
    getFileContent,
    listVectorStores,
    getVectorStore,
    listVectorStoreFiles,
    getVectorStoreFile,
    getVectorStoreFileContent,
    attachVectorStoreFile,
  );
  // Two groups, because each reads forms.
  may.tenant({ scope: 'vault:write', policy: 'vault', countedAs: 'vault' }, uploadDocument, deleteDocument);
  may.tenant({ scope: 'vault:write', policy: 'vault', countedAs: 'vault' }, createFile, deleteFile);
  may.tenant({ scope: 'vault:read', policy: 'search', countedAs: 'search' }, searchVault, searchVectorStore);

  may.tenant(
    { scope: 'conversations', policy: 'conversations', countedAs: 'conversations' },
    listConversations,
    getConversation,
    deleteConversation,
    getResponse,
    deleteResponse,
    listInputItems,
    cancelResponse,
  );
  may.tenant({ scope: 'usage:read', policy: 'usage', countedAs: 'usage' }, getUsage);

  may.operator(createTenant, eraseTenant);
  may.operator(listPrices, addPrices);
  // Of tenants that are not theirs, admins hear what they would hear of tenants that do not exist.
  may.admin(listTenants, getTenant, patchTenant);
  may.admin(listConfigVersions, getConfigVersion, restoreConfigVersion);
  may.admin(createKey, listKeys, rotateKey, revokeKey);
  may.admin(addMember, listMembers, changeMember, removeMember);
  may.admin(invite, listInvitations, revokeInvitation);
  // The token is the credential.
  may.anyone(acceptInvitation);
  may.admin(listUsageByTenant, getTenantUsage);
  may.admin(listAudit, verifyAudit);
  may.admin(listRequests, getRequest);
  may.admin(exportTenant);
  may.admin(dryRunPolicy);
}
