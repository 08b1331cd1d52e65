import { pickOf } from './grammar.ts';

const SPEAKERS: readonly (readonly [string, string])[] = [
  ['User', 'Assistant'],
  ['user', 'assistant'],
  ['Human', 'AI'],
  ['Customer', 'Agent'],
  ['Q', 'A'],
  ['Interviewer', 'Guest'],
  ['Me', 'Bot'],
  ['Anna', 'Peter'],
  ['SPEAKER 1', 'SPEAKER 2'],
  ['[10:32] Priya', '[10:33] Tom'],
];
const REPLIES = [
  'Sure, please confirm that this is right.',
  'Okay, your order will be ready soon.',
  'Yes, that is right, thank you.',
  'Of course. Is there anything else?',
  'No, that will be all.',
  'Great, I have sent you the details by text message.',
  'Could you please tell me your name and the date?',
  'Let me check that for you.',
  'Sorry, we are out of that. Would you like something else?',
  'Everything looks good to me.',
  'How can I help you today?',
  'Please check the display and confirm.',
];
const GREETINGS = ['Hi all,', 'Hello,', 'Dear Sir or Madam,', 'Hi Peter,', 'Team,', 'Dear Ms. Olsen,', ''];
const CLOSINGS = [
  'Best regards,\nAnna',
  'Thanks,\nTom',
  'Cheers',
  'Yours sincerely,\nM. Olsen',
  '-- \nPriya',
  '',
];
const SUBJECTS = [
  'Re: minutes of Tuesday',
  'Fwd: invoice 2041',
  'Re: Re: your order',
  'Notice of a complaint',
  'Form for the claim',
  'Access to the building',
  'Question about the manual',
  'Draft of the contract',
];
const FORM_LINES = [
  'Please provide your name, telephone number and postal address.',
  'If so, please provide it:',
  'Have you tried to contact the owner? If not, please say why.',
  'Please type (or copy and paste) the following statement: "I have read the terms."',
  'Please describe the nature of your request in detail.',
  'Please provide a link to each file that should be removed.',
  'What would be the best solution for you?',
  'Do you have the other party’s contact information?',
  'Please confirm that you have read and understood the above.',
  'So that we can get back to you, please give us an address.',
];

/** Talks, mail threads and filled-in forms, made of ordinary sentences: forms of long text that few packages hold. */
export function madeDocument(sentence: () => string, random: () => number): string {
  const kind = random();
  if (kind < 0.5) return transcript(sentence, random);
  return kind < 0.8 ? mailThread(sentence, random) : form(sentence, random);
}

function transcript(sentence: () => string, random: () => number): string {
  const speakers = pickOf(SPEAKERS, random);
  const mark = pickOf([': ', ': ', ':\n', ' - ', '> '], random);
  const gap = pickOf(['\n', '\n', '\n\n'], random);
  const json = random() < 0.15;
  const lines = Array.from({ length: 8 + Math.floor(random() * 40) }, (_, index) => {
    const text = random() < 0.4 ? pickOf(REPLIES, random) : sentence();
    const speaker = speakers[index % 2] ?? '';
    return json ? JSON.stringify({ role: speaker, content: text }) : `${speaker}${mark}${text}`;
  });
  return json ? `[${lines.join(',\n')}]` : lines.join(gap);
}

function mailThread(sentence: () => string, random: () => number): string {
  let text = '';
  for (let depth = 0, mails = 2 + Math.floor(random() * 5); depth < mails; depth++) {
    const body = Array.from({ length: 2 + Math.floor(random() * 8) }, () =>
      random() < 0.2 ? pickOf(FORM_LINES, random) : sentence(),
    ).join(pickOf([' ', '\n\n', '\n'], random));
    const mail = `${pickOf(GREETINGS, random)}\n\n${body}\n\n${pickOf(CLOSINGS, random)}\n`;
    text = text === '' ? mail : `${mail}\nOn Mon, Peter Olsen wrote:\n${text.replace(/^/gm, '> ')}`;
  }
  return `From: anna@example.com\nTo: peter@example.com\nSubject: ${pickOf(SUBJECTS, random)}\n\n${text}`;
}

function form(sentence: () => string, random: () => number): string {
  const strong = pickOf(['**', '__', '', '', '### '], random);
  return Array.from({ length: 8 + Math.floor(random() * 20) }, () => {
    const question = `${strong}${pickOf(FORM_LINES, random)}${strong.startsWith('#') ? '' : strong}`;
    return `${question}\n\n${pickOf([sentence(), sentence(), '[private]', 'No.', 'Yes', 'n/a'], random)}`;
  }).join('\n\n');
}
