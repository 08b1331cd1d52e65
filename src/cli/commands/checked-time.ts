import { InvalidArgumentError } from 'commander';

/** An option's value that is a time: 2027-01-31 or 2027-01-31T12:00:00Z. */
export function checkedTime(text: string): string {
  const time = new Date(text);
  if (Number.isNaN(time.getTime())) {
    throw new InvalidArgumentError('Write a time such as 2027-01-31T12:00:00Z.');
  }
  return time.toISOString();
}
