import type { FastifyInstance } from 'fastify';
import { addDocumentRoute } from '#rag/routes/add-document.ts';
import { deleteDocumentRoute } from '#rag/routes/delete-document.ts';
import { embedTextsRoute } from '#rag/routes/embed-texts.ts';
import { eraseTenantRoute } from '#rag/routes/erase-tenant.ts';
import { getDocumentRoute } from '#rag/routes/get-document.ts';
import { listDocumentsRoute } from '#rag/routes/list-documents.ts';
import { readDocumentRoute } from '#rag/routes/read-document.ts';
import { readDocumentTextRoute } from '#rag/routes/read-document-text.ts';
import { retrieveRoute } from '#rag/routes/retrieve.ts';
import type { RagRouteOptions } from '#rag/routes/route-options.ts';
import { summariseVaultRoute } from '#rag/routes/summarise-vault.ts';

/** Every route needs an internal token of the router; what it may do is decided by the store, from its context. */
export function registerRagRoutes(app: FastifyInstance, options: RagRouteOptions): void {
  retrieveRoute(app, options);
  embedTextsRoute(app, options);
  addDocumentRoute(app, options);
  listDocumentsRoute(app, options);
  summariseVaultRoute(app, options);
  getDocumentRoute(app, options);
  readDocumentRoute(app, options);
  readDocumentTextRoute(app, options);
  deleteDocumentRoute(app, options);
  eraseTenantRoute(app, options);
}
