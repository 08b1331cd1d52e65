import { z } from 'zod';
import { documentIdSchema } from '#app/ids.ts';

export const documentParamsSchema = z.object({ document_id: documentIdSchema });
