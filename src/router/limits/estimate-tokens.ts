/** Bytes of JSON to a token, roughly; it only decides what is held until the engine has counted. */
const BYTES_PER_TOKEN = 4;
/** Of an image, whatever its bytes: models that see take some 85 to 1,600. */
const IMAGE_TOKENS = 1_000;
/** What is smaller holds no image that is worth looking for. */
const BYTES_WITH_IMAGES = 8_192;
/** Held for an answer whose length neither the client nor the caller bounds. */
const ANSWER_TOKENS = 4_096;
/** What retrieved passages add to a prompt. */
const RETRIEVED_TOKENS = 2_000;

/**
 * Fields that bound an answer's length, by the surface that reads them, the one that goes before the others first. Another
 * surface's are ignored there, and say nothing of the answer.
 */
const ANSWER_BOUNDS: Readonly<Record<string, readonly string[]>> = {
  '/v1/chat': ['max_tokens'],
  '/v1/chat/completions': ['max_completion_tokens', 'max_tokens'],
  '/v1/completions': ['max_tokens'],
  '/v1/responses': ['max_output_tokens'],
};

/** A request as far as an estimate needs it. */
export type EstimatedRequest = Readonly<{
  /** The route's path. */
  surface: string;
  body: unknown;
  bodyBytes: number;
  /** What an answer may have whose length the body does not bound. */
  answerTokens?: number;
}>;

/** The tokens of a turn's prompt: the body's, and those of the passages that retrieval may add. */
export function estimatePromptTokens(request: EstimatedRequest): number {
  const { surface, body, bodyBytes } = request;
  if (typeof body !== 'object' || body === null) return 0;
  const model: unknown = Reflect.get(body, 'model');
  const retrieves = surface === '/v1/chat' || model === 'bulkhead-rag';
  const images = bodyBytes < BYTES_WITH_IMAGES ? [] : imagesIn(body);
  const imageBytes = images.reduce((sum, { length }) => sum + length, 0);
  return (
    Math.ceil(Math.max(0, bodyBytes - imageBytes) / BYTES_PER_TOKEN) +
    images.length * IMAGE_TOKENS +
    (retrieves ? RETRIEVED_TOKENS : 0)
  );
}

/** The `data:` URLs of the messages, where OpenAI's two surfaces have them. */
function imagesIn(body: object): string[] {
  const urls: string[] = [];
  const messages = fieldOf(body, 'messages') ?? fieldOf(body, 'input');
  if (!Array.isArray(messages)) return urls;
  for (const message of messages) {
    const content = fieldOf(message, 'content');
    if (!Array.isArray(content)) continue;
    for (const part of content) {
      const image = fieldOf(part, 'image_url');
      const url = typeof image === 'string' ? image : fieldOf(image, 'url');
      if (typeof url === 'string' && url.startsWith('data:')) urls.push(url);
    }
  }
  return urls;
}

const fieldOf = (value: unknown, name: string): unknown =>
  typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined;

/**
 * The tokens to reserve for a turn before it runs: the prompt's and the answer's. Settled afterwards by what the engine
 * counted, so that a small `max_tokens` hides no large prompt.
 */
export function estimateTurnTokens(request: EstimatedRequest): number {
  const { surface, body } = request;
  if (typeof body !== 'object' || body === null) return 0;
  const bound = (ANSWER_BOUNDS[surface] ?? [])
    .map((name): unknown => Reflect.get(body, name))
    .find((value) => typeof value === 'number');
  const answer =
    typeof bound === 'number' ? Math.max(0, Math.ceil(bound)) : (request.answerTokens ?? ANSWER_TOKENS);
  const n: unknown = Reflect.get(body, 'n');
  const answers = typeof n === 'number' ? Math.max(1, n) : 1;
  return estimatePromptTokens(request) + answer * answers;
}

/** The tokens to reserve where texts are only read, and nothing is written: embeddings. */
export const estimateTextTokens = ({ bodyBytes }: EstimatedRequest): number =>
  Math.ceil(bodyBytes / BYTES_PER_TOKEN);
