import { z } from 'zod';
import { openAIErrorSchema, problemSchema, refusalSchema } from '#app/errors/error-body.ts';
import {
  chunkIdSchema,
  conversationIdSchema,
  documentIdSchema,
  messageIdSchema,
  requestIdSchema,
  tenantIdSchema,
  userIdSchema,
} from '#app/ids.ts';
import {
  apiKeyPageSchema,
  apiKeySchema,
  createApiKeySchema,
  createdApiKeySchema,
  keyIdSchema,
  rotateApiKeySchema,
} from '#app/schemas/api-key.ts';
import { auditEventSchema, auditPageSchema, auditVerificationSchema } from '#app/schemas/audit-event.ts';
import { collectionSchema } from '#app/schemas/collection.ts';
import {
  configVersionPageSchema,
  configVersionSchema,
  storedConfigVersionSchema,
} from '#app/schemas/config-version.ts';
import {
  conversationMessageSchema,
  conversationPageSchema,
  conversationSchema,
  conversationWithMessagesSchema,
} from '#app/schemas/conversation.ts';
import { judgePolicySchema } from '#app/schemas/guardrail-judge.ts';
import {
  guardrailActionSchema,
  guardrailsPatchSchema,
  guardrailsSchema,
  piiKindSchema,
} from '#app/schemas/guardrails.ts';
import {
  acceptedInvitationSchema,
  acceptInvitationSchema,
  addMemberSchema,
  changeMemberSchema,
  createdInvitationSchema,
  invitationIdSchema,
  invitationPageSchema,
  invitationSchema,
  inviteSchema,
  memberPageSchema,
  memberRoleSchema,
  memberSchema,
} from '#app/schemas/member.ts';
import {
  multiTenantChatRequestSchema,
  multiTenantChatResponseSchema,
} from '#app/schemas/multi-tenant-chat-request.ts';
import {
  citationSchema,
  retrievedChunkSchema,
  visibilitySchema,
} from '#app/schemas/multi-tenant-vault-chunk.ts';
import { policyDryRunRequestSchema, policyDryRunSchema } from '#app/schemas/policy-dry-run.ts';
import {
  listedPriceSchema,
  newPriceSchema,
  newPricesSchema,
  priceListSchema,
  pricePageSchema,
} from '#app/schemas/price.ts';
import {
  requestBodiesSchema,
  requestDecisionSchema,
  requestLogDetailSchema,
  requestLogEntrySchema,
  requestLogPageSchema,
} from '#app/schemas/request-log.ts';
import { tenantPageSchema, tenantSchema } from '#app/schemas/tenant.ts';
import {
  allowedRouteSchema,
  refusalRuleSchema,
  sensitivePatternSchema,
  tenantConfigPatchSchema,
  tenantConfigSchema,
  tenantIssuerSchema,
} from '#app/schemas/tenant-config.ts';
import {
  shareLimitSchema,
  tenantRateLimitPatchSchema,
  tenantRateLimitSchema,
} from '#app/schemas/tenant-rate-limit.ts';
import { timeSchema } from '#app/schemas/time.ts';
import { tokenUsageSchema } from '#app/schemas/token-usage.ts';
import {
  tenantUsageSchema,
  usageOutcomeSchema,
  usageRecordSchema,
  usageReportSchema,
  usageTotalsSchema,
} from '#app/schemas/usage.ts';
import {
  documentStatusSchema,
  vaultDocumentPageSchema,
  vaultDocumentSchema,
} from '#app/schemas/vault-document.ts';
import { embeddingListSchema, embeddingRequestSchema } from '#router/embeddings/embedding-schema.ts';
import { readinessSchema } from '#router/http/readiness.ts';
import { inputItemSchema } from '#router/responses/kept/kept-response.ts';
import { responseRequestSchema } from '#router/responses/response-request-schema.ts';
import {
  fileCitationSchema,
  functionCallItemSchema,
  messageItemSchema,
  outputItemSchema,
  reasoningItemSchema,
  responseSchema,
  tokenLogprobSchema,
} from '#router/responses/response-schema.ts';
import { erasedTenantSchema, eraseTenantSchema } from '#router/routes/admin/erase-tenant.ts';
import { modelListSchema, modelSchema } from '#router/routes/chat/model-schema.ts';
import { fileFormSchema } from '#router/routes/files/create-file.ts';
import { deletedFileSchema } from '#router/routes/files/delete-file.ts';
import { deletedResponseSchema } from '#router/routes/kept-responses/delete-response.ts';
import { inputItemPageSchema } from '#router/routes/kept-responses/list-input-items.ts';
import { healthSchema } from '#router/routes/public/health.ts';
import { documentTextSchema } from '#router/routes/vault/get-document-text.ts';
import { searchRequestSchema, searchResultSchema } from '#router/routes/vault/search-vault.ts';
import { documentFormSchema } from '#router/routes/vault/upload-document.ts';
import { attachFileSchema } from '#router/routes/vector-stores/attach-vector-store-file.ts';
import { vectorStoreFileContentSchema } from '#router/routes/vector-stores/get-vector-store-file-content.ts';
import {
  vectorStoreSearchPageSchema,
  vectorStoreSearchRequestSchema,
} from '#router/routes/vector-stores/search-vector-store.ts';
import {
  textCompletionRequestSchema,
  textCompletionSchema,
} from '#router/text-completions/text-completion-schema.ts';
import {
  assistantMessageSchema,
  chatCompletionRequestSchema,
  chatCompletionSchema,
  requestMessageSchema,
} from '#router/turns/chat-completion-schema.ts';
import { fileObjectSchema, filePageSchema } from '#router/vault/file-object.ts';
import {
  vectorStoreFilePageSchema,
  vectorStoreFileSchema,
  vectorStorePageSchema,
  vectorStoreSchema,
} from '#router/vault/vector-store.ts';

/**
 * The components of the OpenAPI document by their names: types of generated clients, so a name that was released stays. What is
 * a body or an answer is here, as is what several of them hold.
 */
const SCHEMAS: Readonly<Record<string, z.ZodType>> = {
  AcceptInvitation: acceptInvitationSchema,
  AcceptedInvitation: acceptedInvitationSchema,
  AddMember: addMemberSchema,
  AllowedRoute: allowedRouteSchema,
  ApiKey: apiKeySchema,
  ApiKeyPage: apiKeyPageSchema,
  AssistantMessage: assistantMessageSchema,
  AttachFile: attachFileSchema,
  AuditEvent: auditEventSchema,
  AuditPage: auditPageSchema,
  AuditVerification: auditVerificationSchema,
  ChangeMember: changeMemberSchema,
  ChatCompletion: chatCompletionSchema,
  ChatCompletionRequest: chatCompletionRequestSchema,
  ChatMessage: requestMessageSchema,
  ChunkId: chunkIdSchema,
  Citation: citationSchema,
  Collection: collectionSchema,
  ConfigVersion: configVersionSchema,
  ConfigVersionPage: configVersionPageSchema,
  Conversation: conversationSchema,
  ConversationId: conversationIdSchema,
  ConversationMessage: conversationMessageSchema,
  ConversationPage: conversationPageSchema,
  ConversationWithMessages: conversationWithMessagesSchema,
  CreateApiKey: createApiKeySchema,
  CreatedApiKey: createdApiKeySchema,
  CreatedInvitation: createdInvitationSchema,
  DeletedFile: deletedFileSchema,
  DeletedResponse: deletedResponseSchema,
  DocumentForm: documentFormSchema,
  DocumentId: documentIdSchema,
  DocumentStatus: documentStatusSchema,
  DocumentText: documentTextSchema,
  EmbeddingList: embeddingListSchema,
  EmbeddingRequest: embeddingRequestSchema,
  EraseTenant: eraseTenantSchema,
  ErasedTenant: erasedTenantSchema,
  ErrorResponse: openAIErrorSchema,
  FileCitation: fileCitationSchema,
  FileForm: fileFormSchema,
  FileObject: fileObjectSchema,
  FilePage: filePageSchema,
  FunctionCallItem: functionCallItemSchema,
  GuardrailAction: guardrailActionSchema,
  Guardrails: guardrailsSchema,
  GuardrailsPatch: guardrailsPatchSchema,
  Health: healthSchema,
  InputItem: inputItemSchema,
  InputItemPage: inputItemPageSchema,
  Invitation: invitationSchema,
  InvitationId: invitationIdSchema,
  InvitationPage: invitationPageSchema,
  Invite: inviteSchema,
  JudgePolicy: judgePolicySchema,
  KeyId: keyIdSchema,
  ListedPrice: listedPriceSchema,
  Member: memberSchema,
  MemberPage: memberPageSchema,
  MemberRole: memberRoleSchema,
  MessageId: messageIdSchema,
  MessageItem: messageItemSchema,
  Model: modelSchema,
  ModelList: modelListSchema,
  MultiTenantChatRequest: multiTenantChatRequestSchema,
  MultiTenantChatResponse: multiTenantChatResponseSchema,
  NewPrice: newPriceSchema,
  NewPrices: newPricesSchema,
  OutputItem: outputItemSchema,
  PiiKind: piiKindSchema,
  PolicyDryRun: policyDryRunSchema,
  PolicyDryRunRequest: policyDryRunRequestSchema,
  PriceList: priceListSchema,
  PricePage: pricePageSchema,
  Problem: problemSchema,
  Readiness: readinessSchema,
  ReasoningItem: reasoningItemSchema,
  Refusal: refusalSchema,
  RefusalRule: refusalRuleSchema,
  RequestBodies: requestBodiesSchema,
  RequestDecision: requestDecisionSchema,
  RequestId: requestIdSchema,
  RequestLogDetail: requestLogDetailSchema,
  RequestLogEntry: requestLogEntrySchema,
  RequestLogPage: requestLogPageSchema,
  ResponseObject: responseSchema,
  ResponseRequest: responseRequestSchema,
  RetrievedChunk: retrievedChunkSchema,
  RotateApiKey: rotateApiKeySchema,
  SearchRequest: searchRequestSchema,
  SearchResult: searchResultSchema,
  SensitivePattern: sensitivePatternSchema,
  ShareLimit: shareLimitSchema,
  StoredConfigVersion: storedConfigVersionSchema,
  Tenant: tenantSchema,
  TenantConfig: tenantConfigSchema,
  TenantConfigPatch: tenantConfigPatchSchema,
  TenantId: tenantIdSchema,
  TenantIssuer: tenantIssuerSchema,
  TenantPage: tenantPageSchema,
  TenantRateLimit: tenantRateLimitSchema,
  TenantRateLimitPatch: tenantRateLimitPatchSchema,
  TenantUsage: tenantUsageSchema,
  TextCompletion: textCompletionSchema,
  TextCompletionRequest: textCompletionRequestSchema,
  Time: timeSchema,
  TokenLogprob: tokenLogprobSchema,
  TokenUsage: tokenUsageSchema,
  UsageOutcome: usageOutcomeSchema,
  UsageRecord: usageRecordSchema,
  UsageReport: usageReportSchema,
  UsageTotals: usageTotalsSchema,
  UserId: userIdSchema,
  VaultDocument: vaultDocumentSchema,
  VaultDocumentPage: vaultDocumentPageSchema,
  VectorStore: vectorStoreSchema,
  VectorStoreFile: vectorStoreFileSchema,
  VectorStoreFileContent: vectorStoreFileContentSchema,
  VectorStoreFilePage: vectorStoreFilePageSchema,
  VectorStorePage: vectorStorePageSchema,
  VectorStoreSearchPage: vectorStoreSearchPageSchema,
  VectorStoreSearchRequest: vectorStoreSearchRequestSchema,
  Visibility: visibilitySchema,
};

/** Gives the schemas their names, in the registry that the document is made from. Harmless when repeated. */
export function nameSchemas(): void {
  for (const [id, schema] of Object.entries(SCHEMAS)) {
    const known = z.globalRegistry.get(schema);
    if (known?.id !== id) z.globalRegistry.add(schema, { ...known, id });
  }
}
