import type { FastifySerializerCompiler } from 'fastify';
import { z } from 'zod';
import { openAIErrorSchema, problemSchema } from '#app/errors/error-body.ts';

/** Errors of an endpoint under `/v1`. */
export const openAIErrors = {
  '4xx': openAIErrorSchema.describe('The request was refused; `error.code` says why.'),
  '5xx': openAIErrorSchema.describe('Something failed inside, or behind.'),
};

/** Responses of an endpoint under `/v1`: its answer, and the error envelope. For the OpenAPI document. */
export const answers = <Answer extends z.ZodType>(answer: Answer, status = 200) => ({
  [status]: answer,
  '4xx': openAIErrors['4xx'],
  '5xx': openAIErrors['5xx'],
});

const problems = (description: string) => ({
  description,
  content: { 'application/problem+json': { schema: problemSchema } },
});

/** Errors of an endpoint under `/admin`. */
export const adminProblems = {
  '4xx': problems('The request was refused; `code` says why.'),
  '5xx': problems('Something failed inside.'),
};

/** The same under `/admin`, with RFC 9457 problems. */
export const adminAnswers = <Answer extends z.ZodType>(answer: Answer, status = 200) => ({
  [status]: answer,
  '4xx': adminProblems['4xx'],
  '5xx': adminProblems['5xx'],
});

/** An answer with no body. */
export const noContent = z.undefined().describe('Done; there is nothing to say.');

/**
 * For answers on the hot path, which typed code of ours builds from parts that were checked: written as they are, where
 * other answers are checked against their schema once more.
 */
export const writtenAsItIs: FastifySerializerCompiler<unknown> = () => JSON.stringify;
