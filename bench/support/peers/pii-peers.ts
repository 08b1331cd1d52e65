import { z } from 'zod';
import { installPeers } from '../install-peers.ts';

const PEERS = ['@openredaction/openredaction@1.0.4', 'redact-pii@3.4.0'] as const;
/** What stands for personal data in a redacted text: no text of the set has it. */
const MARK = '\u0001';

type Place = Readonly<{ start: number; end: number }>;
export type PiiPeer = Readonly<{
  name: string;
  find: (text: string) => Promise<readonly Place[]> | readonly Place[];
}>;

const openRedactionResult = z.looseObject({
  detections: z.array(z.looseObject({ position: z.tuple([z.number(), z.number()]) })),
});
type Redactor = { redact: (text: string) => string };
type Detector = { detect: (text: string) => unknown };

/** Open packages that find personal data, with all that they look for by default. */
export async function openPiiPeers(): Promise<PiiPeer[]> {
  const load = await installPeers('pii-peers', PEERS);
  if (load === null) return [];
  const { OpenRedaction } = z
    .looseObject({ OpenRedaction: constructorOf<Detector>() })
    .parse(await load('@openredaction/openredaction/dist/index.mjs'));
  const { SyncRedactor } = z
    .looseObject({ SyncRedactor: constructorOf<Redactor>() })
    .parse(await load('redact-pii/lib/index.js'));
  const open = new OpenRedaction();
  const redactor = new SyncRedactor({ globalReplaceWith: MARK });
  return [
    {
      name: 'openredaction',
      find: async (text) =>
        openRedactionResult
          .parse(await open.detect(text))
          .detections.map(({ position: [start, end] }) => ({ start, end })),
    },
    { name: 'redact-pii', find: (text) => replacedIn(text, redactor.redact(text)) },
  ];
}

const constructorOf = <Instance>() =>
  z.custom<new (options?: object) => Instance>((value) => typeof value === 'function');

/** Where the text was replaced, from what is left of it: the pieces between the marks, in their order. */
export function replacedIn(text: string, redacted: string): Place[] {
  const pieces = redacted.split(MARK);
  const places: Place[] = [];
  let at = pieces[0]?.length ?? 0;
  for (const [index, piece] of pieces.entries()) {
    if (index === 0) continue;
    const isLast = index === pieces.length - 1;
    const next = isLast ? text.length - piece.length : Math.max(at, text.indexOf(piece, at + 1));
    places.push({ start: at, end: next });
    at = next + piece.length;
  }
  return places;
}
