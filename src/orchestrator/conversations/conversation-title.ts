const MAX_CHARACTERS = 80;

/** A conversation's title: the start of its first message, on one line, cut between words where it can be. */
export function conversationTitle(message: string): string {
  const line = message.replace(/[\s\p{Cc}]+/gu, ' ').trim();
  if (line === '') return 'Conversation';
  const characters = [...line];
  if (characters.length <= MAX_CHARACTERS) return line;
  const cut = characters.slice(0, MAX_CHARACTERS - 1).join('');
  const lastSpace = cut.lastIndexOf(' ');
  return `${lastSpace > cut.length / 2 ? cut.slice(0, lastSpace) : cut}…`;
}
