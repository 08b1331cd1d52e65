import { z } from 'zod';
import { documentIdSchema } from '#app/ids.ts';
import type { RagService } from '#app/services/rag-service.ts';

export type RagRouteOptions = { service: RagService; maxDocumentBytes: number };

export const documentPathSchema = z.object({ document_id: documentIdSchema });
