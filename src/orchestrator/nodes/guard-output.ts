import { NO_ANSWER_IN_VAULT, NOT_IN_DOCUMENTS } from '#app/schemas/turn.ts';
import type { Logger } from '#observability/logger.ts';
import { citedNumbers, withoutMarkers } from '#orchestrator/citations/citation-markers.ts';
import { assertVisible, toCitations } from '#orchestrator/citations/visible-chunks.ts';
import { runtimeOf, type TurnConfig, type TurnState, type TurnUpdate } from '#orchestrator/turn-state.ts';

/** Finds what the answer cites: numbers of passages that it was given, each checked anew against the caller. */
export const guardOutput =
  ({ logger }: { logger: Logger }) =>
  ({ chunks, answer }: TurnState, config: TurnConfig): TurnUpdate => {
    const { tenant } = runtimeOf(config);
    if (chunks === null) return { citations: [], refusalReason: null };
    if (isNotInDocuments(answer.text)) return { citations: [], refusalReason: NO_ANSWER_IN_VAULT };
    const given = chunks.slice(0, answer.chunkIds.length);
    assertVisible(tenant, given, logger);
    const citations = toCitations(given);
    const cited = citedNumbers(answer.text, given.length);
    return {
      citations: cited.flatMap((number) => citations[number - 1] ?? []),
      refusalReason: null,
    };
  };

/** Models put the sentence in quotes, or a marker behind it. */
const isNotInDocuments = (text: string): boolean =>
  withoutMarkers(text).replace(/^[\s"'“”*]+|[\s"'“”*.]+$/g, '') === NOT_IN_DOCUMENTS.replace(/\.$/, '');
