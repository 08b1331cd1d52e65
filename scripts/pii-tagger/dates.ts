import { DAYS, MONTHS } from './lists.ts';
import { pickOf } from './random.ts';

/** Draws dates in the forms in which they are written. Relative ones (tomorrow, last week) are no dates here. */
export function dateMaker(random: () => number) {
  const number = (least: number, most: number) => least + Math.floor(random() * (most - least + 1));
  const pad = (value: number) => String(value).padStart(2, '0');
  const year = () => String(random() < 0.75 ? number(1935, 2029) : number(1780, 2060));
  const ordinal = (day: number) => {
    const last = day % 10;
    const teen = day > 10 && day < 14;
    return `${day}${teen ? 'th' : last === 1 ? 'st' : last === 2 ? 'nd' : last === 3 ? 'rd' : 'th'}`;
  };
  const clock = () => `${pad(number(0, 23))}:${pad(number(0, 59))}:${pad(number(0, 59))}`;
  const iso = () => `${year()}-${pad(number(1, 12))}-${pad(number(1, 28))}`;
  const forms: readonly (() => string)[] = [
    () => `${month()} ${day()}, ${year()}`,
    () => `${month()} ${day()} ${year()}`,
    () => `${month()} ${day()}`,
    () => `${month()} ${ordinal(day())}, ${year()}`,
    () => `${month()} ${ordinal(day())}`,
    () => `${day()} ${month()} ${year()}`,
    () => `${day()} ${month()}`,
    () => `${day()}. ${month()} ${year()}`,
    () => `${ordinal(day())} of ${month()}`,
    () => `${ordinal(day())} of ${month()}, ${year()}`,
    () => `${ordinal(day())} ${month()} ${year()}`,
    () => `${month()} ${year()}`,
    () => month(),
    () => weekday(),
    () => weekday(),
    () => `${weekday()}, ${month()} ${day()}`,
    () => `${weekday()}, ${day()} ${month()} ${year()}`,
    () => `${weekday()} ${ordinal(day())}`,
    () => `${number(1, 12)}/${day()}/${year()}`,
    () => `${day()}/${number(1, 12)}/${year()}`,
    () => `${pad(number(1, 12))}/${pad(day())}/${year()}`,
    () => `${pad(number(1, 12))}/${pad(day())}/${year().slice(2)}`,
    () => `${number(1, 12)}/${day()}/${year().slice(2)}`,
    () => `${pad(day())}/${pad(number(1, 12))}`,
    iso,
    iso,
    () => `${iso()} ${clock()}`,
    () => `${iso()} ${clock()}`,
    () => `${iso()} ${clock().slice(0, 5)}`,
    () => `${iso()}T${clock()}${pickOf(['', 'Z', '.000Z', '+00:00', '+02:00'], random)}`,
    () => `${year()}/${pad(number(1, 12))}/${pad(day())}`,
    () => `${pad(day())}.${pad(number(1, 12))}.${year()}`,
    () => `${day()}.${number(1, 12)}.${year().slice(2)}`,
    () => `${pad(day())}-${pad(number(1, 12))}-${year()}`,
    () => `${day()}-${month().slice(0, 3)}-${year().slice(random() < 0.5 ? 2 : 0)}`,
    () => `${number(1, 12)}-${year()}`,
    () => `${pad(number(1, 12))}/${year()}`,
    () => `${number(195, 201)}0s`,
    () => `${pickOf(['spring', 'summer', 'autumn', 'winter', 'Q1', 'Q2', 'Q3', 'Q4'], random)} ${year()}`,
    year,
    year,
    year,
  ];
  const day = () => number(1, 31);
  const month = () => pickOf(MONTHS, random);
  const weekday = () => pickOf(DAYS, random);
  const date = (): string => pickOf(forms, random)();
  /** A whole day, as a form asks for. */
  const day_date = (): string => {
    const form = pickOf([0, 3, 5, 7, 18, 19, 20, 21, 22, 24, 30, 31, 32, 33, 34], random);
    return (forms[form] ?? year)();
  };
  const datetime = (): string => `${iso()}${pickOf([' ', ' ', 'T', ', '], random)}${clock()}`;
  return { date, day_date, datetime, year };
}
