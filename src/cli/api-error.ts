import { openAIErrorSchema, problemSchema } from '#app/errors/error-body.ts';
import { CliError } from '#cli/cli-error.ts';

/** A refusal or failure that the server explained. */
export class ApiError extends CliError {
  readonly status: number;
  readonly code: string;
  constructor(fields: { status: number; code: string; message: string }) {
    super(fields.message);
    this.status = fields.status;
    this.code = fields.code;
  }
}

/** The error that a body holds, under `/v1` or `/admin`; also the `data` of an error event in a stream. */
export function apiErrorOf(status: number, body: unknown, requestId: string | null): ApiError {
  const openai = openAIErrorSchema.safeParse(body);
  if (openai.success) {
    const { message, code, param, refusal, request_id } = openai.data.error;
    return new ApiError({
      status,
      code,
      message: explain(message, { code, param, refusal, requestId: request_id ?? requestId }),
    });
  }
  const problem = problemSchema.safeParse(body);
  if (problem.success) {
    const { detail, code, param, refusal } = problem.data;
    return new ApiError({ status, code, message: explain(detail, { code, param, refusal, requestId }) });
  }
  return new ApiError({ status, code: 'unknown', message: `The server answered with status ${status}.` });
}

type Refusal = {
  policy: string;
  limit?: number | undefined;
  current?: number | undefined;
  resets_at?: string | undefined;
};

function explain(
  message: string,
  facts: {
    code: string;
    param: string | null | undefined;
    refusal: Refusal | undefined;
    requestId: string | null;
  },
): string {
  const { code, param, refusal, requestId } = facts;
  const details = [
    code,
    ...(param === null || param === undefined ? [] : [`field ${param}`]),
    ...(refusal === undefined ? [] : [`policy ${refusal.policy}`]),
    ...(refusal?.limit === undefined ? [] : [`limit ${refusal.limit}, now ${refusal.current ?? '?'}`]),
    ...(refusal?.resets_at === undefined ? [] : [`free again at ${refusal.resets_at}`]),
    ...(requestId === null ? [] : [`request ${requestId}`]),
  ];
  return `${message} (${details.join('; ')})`;
}
