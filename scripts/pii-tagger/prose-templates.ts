import { pickOf } from './random.ts';

/** Words of prose in whose stead a name can stand, and what then stands there. */
const PLACES: readonly (readonly [RegExp, readonly string[]])[] = [
  [/\b(?:he|she)\b/i, ['<person>', '<first>', '<last>', '<titled>']],
  [/\b(?:him|them)\b/, ['<person>', '<first>', '<titled>', '<organization>']],
  [/\b(?:his|her) (?=[a-z])/, ["<first>'s ", "<person>'s ", '<first>’s ', "<organization>'s "]],
  [
    /\b(?:someone|somebody|everyone|nobody|anyone|the (?:user|customer|man|woman|teacher|student|boy|girl|patient|author|manager|client|child|person|driver|player|doctor|king|hero|writer|speaker|owner|buyer|seller))\b/i,
    ['<person>', '<first>', '<titled>', 'a <nationality> <job>', '<title> <person>'],
  ],
  [
    /\b(?:you|they|we|I)(?= (?:can|could|will|should|must|would|may|might|want|need|have|know|think|work|live))/,
    ['<person>', '<first>', '<organization>', '<first> and <first>', '<people>'],
  ],
  [/\byour (?=[a-z])/, ["<first>'s ", "<organization>'s ", 'the <nationality> ', "<country>'s "]],
  [
    /\b(?:the|a|this|our|their) (?:company|bank|school|university|team|government|store|restaurant|hospital|agency|organization|shop|firm|club|department|business|platform|website|service|app|product|system)\b/i,
    ['<organization>', '<organization>', 'the <nationality> company', '<organization> in <location>'],
  ],
  [
    /\b(?:the|a|this|our) (?:city|country|town|village|state|area|region|world|place|island|house|building|beach|park|office)\b/i,
    ['<location>', '<country>', '<city>, <country>', '<address>', '<city>'],
  ],
  [
    /\b(?:today|yesterday|tomorrow|last week|last year|next week|now|recently|soon|every day)\b/,
    ['on <date>', 'in <year>', 'since <date>', 'until <date>', 'in <month_name>'],
  ],
  [
    /\b(?:here|there|at home|everywhere)\b/,
    ['in <location>', 'at <organization>', 'in <city>', 'near <address>', 'at <address>'],
  ],
  [
    /\bthe (?=(?:people|food|market|film|story|language|music|law|history|culture|man|woman|population|economy|team|army|sea|king|city|house)\b)/,
    ['the <nationality> ', "<country>'s ", '<organization> '],
  ],
  [
    /\b(?:a|an|the) (?:professional|worker|expert|engineer|lawyer|nurse|writer|chef|artist|scientist|assistant)\b/,
    ['a <job>', 'the <job>', '<person>, a <job>,'],
  ],
  [
    /(?<=\b(?:in|from|near|across|around|outside|into)) (?:the|a|an|this|your|my) [a-z]+\b/,
    [' <location>', ' <city>', ' <country>', ' <organization>'],
  ],
  [/(?<=\b(?:the|a|an)) (?=[a-z]+ [a-z]+)/, [' <nationality> ', ' <nationality> ']],
  [
    /(?<= (?:with|by|to|for|from|about|like)) (?:it|this|that|me|us)\b/,
    [' <person>', ' <organization>', ' <location>', ' <first>'],
  ],
];
/** At most so many words of one sentence become names. */
const MOST = 3;

/**
 * Sentences that people wrote and that name nobody, with names put where they spoke of someone, some company, some place or
 * time: names in other surroundings than any template has.
 */
export function proseTemplates(prose: readonly string[]): ((random: () => number) => string)[] {
  return prose.flatMap((sentence) => {
    const plain = sentence.replace(/[<>{}|]/g, '');
    const fitting = PLACES.filter(([pattern]) => pattern.test(plain));
    if (fitting.length === 0) return [];
    return [
      (random: () => number) => {
        let line = plain;
        for (let times = 0; times < MOST && (times === 0 || random() < 0.6); times++) {
          const [pattern, values] = pickOf(fitting, random);
          const value = pickOf(values, random);
          line = line.replace(pattern, () => value);
        }
        return line;
      },
    ];
  });
}
