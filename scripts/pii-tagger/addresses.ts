import { COUNTRIES, STATE_CODES, STATES, STREET_TYPES } from './lists.ts';
import { pickOf } from './random.ts';

/** What an address is made of. */
export type AddressParts = Readonly<{
  random: () => number;
  last: () => string;
  first: () => string;
  city: () => string;
  fakerStreet: () => string;
  fakerZip: () => string;
}>;

/** Street first or number first, before or behind, glued or apart: as streets are written in some thirty countries. */
const FOREIGN_STREETS: readonly ((name: string, number: string) => string)[] = [
  (name, number) => `${name}straße ${number}`,
  (name, number) => `${name}strasse ${number}`,
  (name, number) => `${name} Strasse ${number}`,
  (name, number) => `${name}-Straße ${number}`,
  (name, number) => `${name} str. ${number}`,
  (name, number) => `${name}str. ${number}`,
  (name, number) => `${name}weg ${number}`,
  (name, number) => `${name}platz ${number}`,
  (name, number) => `${name}allee ${number}`,
  (name, number) => `${name}gasse ${number}`,
  (name, number) => `Am ${name} ${number}`,
  (name, number) => `An der ${name} ${number}`,
  (name, number) => `${name}gatan ${number}`,
  (name, number) => `${name}vägen ${number}`,
  (name, number) => `${name}gränd ${number}`,
  (name, number) => `${name} ${number}`,
  (name, number) => `${name}vej ${number}`,
  (name, number) => `${name}gade ${number}`,
  (name, number) => `${name}stien ${number}`,
  (name, number) => `${name}veien ${number}`,
  (name, number) => `${name}vegur ${number}`,
  (name, number) => `${name}gata ${number}`,
  (name, number) => `${name}straat ${number}`,
  (name, number) => `${name}laan ${number}`,
  (name, number) => `${name}plein ${number}`,
  (name, number) => `${name}katu ${number}`,
  (name, number) => `${name}tie ${number}`,
  (name, number) => `${name}kuja ${number}`,
  (name, number) => `${name} utca ${number}.`,
  (name, number) => `${name} u. ${number}.`,
  (name, number) => `${name} út ${number}`,
  (name, number) => `${name} tér ${number}`,
  (name, number) => `ul. ${name} ${number}`,
  (name, number) => `al. ${name} ${number}`,
  (name, number) => `${name} ulica ${number}`,
  (name, number) => `${name} cesta ${number}`,
  (name, number) => `${name}ova ${number}`,
  (name, number) => `${name}ska ${number}`,
  (name, number) => `Strada ${name} nr. ${number}`,
  (name, number) => `${name} Sokak No: ${number}`,
  (name, number) => `${name} Caddesi ${number}`,
  (name, number) => `${number} rue ${name}`,
  (name, number) => `${number}, rue de ${name}`,
  (name, number) => `${number}, rue des ${name}`,
  (name, number) => `Rue de ${name} ${number}`,
  (name, number) => `${number} avenue ${name}`,
  (name, number) => `${number}, avenue du ${name}`,
  (name, number) => `${number}, place ${name}`,
  (name, number) => `${number} Boulevard ${name}`,
  (name, number) => `${number}, Chemin ${name}`,
  (name, number) => `Calle ${name} ${number}`,
  (name, number) => `C/ ${name}, ${number}`,
  (name, number) => `Avenida ${name} ${number}`,
  (name, number) => `Avda. ${name} ${number}`,
  (name, number) => `Av. ${name}, ${number}`,
  (name, number) => `Plaza ${name}, ${number}`,
  (name, number) => `Paseo ${name} ${number}`,
  (name, number) => `Camino ${name} ${number}`,
  (name, number) => `Via ${name} ${number}`,
  (name, number) => `Via ${name}, ${number}`,
  (name, number) => `Viale ${name}, ${number}`,
  (name, number) => `Corso ${name} ${number}`,
  (name, number) => `Piazza ${name} ${number}`,
  (name, number) => `Vicolo ${name} ${number}`,
  (name, number) => `Rua ${name} ${number}`,
  (name, number) => `Rua ${name}, ${number}`,
  (name, number) => `Rua Dr. ${name}, ${number}`,
  (name, number) => `Travessa ${name} ${number}`,
  (name, number) => `Praça ${name} ${number}`,
  (name, number) => `Jl. ${name} No. ${number}`,
  (name, number) => `${number} ${name} Marg`,
  (name, number) => `${number}, ${name} Nagar`,
];

/** Draws streets, postal codes and whole addresses. */
export function addressMaker({ random, last, first, city, fakerStreet, fakerZip }: AddressParts) {
  const chance = (probability: number) => random() < probability;
  const of = <T>(list: readonly T[]): T => pickOf(list, random);
  const number = (least: number, most: number) => least + Math.floor(random() * (most - least + 1));
  const digits = (count: number) => Array.from({ length: count }, () => number(0, 9)).join('');
  const letter = () => String.fromCharCode(65 + number(0, 25));
  const zip = (): string => {
    const draw = random();
    if (draw < 0.4) return digits(5);
    if (draw < 0.48) return `${digits(5)}-${digits(4)}`;
    if (draw < 0.62) return digits(4);
    if (draw < 0.66) return `${digits(3)} ${digits(2)}`;
    if (draw < 0.69) return `${digits(2)}-${digits(3)}`;
    if (draw < 0.72) return digits(6);
    if (draw < 0.75) return `${digits(4)} ${letter()}${letter()}`;
    if (draw < 0.77)
      return `${of(['D', 'A', 'CH', 'B', 'L', 'SE', 'FI', 'DK', 'N'])}-${digits(number(4, 5))}`;
    if (draw < 0.87)
      return `${letter()}${chance(0.6) ? letter() : ''}${number(1, 99)} ${number(1, 9)}${letter()}${letter()}`;
    if (draw < 0.94) return `${letter()}${number(1, 9)}${letter()} ${number(1, 9)}${letter()}${number(1, 9)}`;
    return fakerZip();
  };
  const house = (): string => {
    const draw = random();
    const plain = String(number(1, draw < 0.6 ? 99 : draw < 0.75 ? 999 : 9_999));
    if (draw > 0.97) return `${plain}-${number(1, 99)}`;
    return plain + (chance(0.05) ? letter().toLowerCase() : chance(0.03) ? letter() : '');
  };
  const streetName = (): string => {
    const draw = random();
    if (draw < 0.5) return last();
    if (draw < 0.62) return first();
    if (draw < 0.7) return `${first()} ${last()}`;
    if (draw < 0.78)
      return of([
        'Main',
        'Church',
        'High',
        'Park',
        'Station',
        'Mill',
        'King',
        'Queen',
        'Bridge',
        'Market',
        'School',
      ]);
    if (draw < 0.88)
      return of([
        'Oak',
        'Elm',
        'Maple',
        'Cedar',
        'Pine',
        'Rose',
        'Lake',
        'Hill',
        'River',
        'Meadow',
        'Sunset',
        'Forest',
        'Spring',
        'Washington',
        'Lincoln',
      ]);
    return city();
  };
  const unit = () =>
    `${of(['Apt.', 'Apt', 'Suite', 'Ste', 'Unit', 'Flat', '#', 'Floor', 'Room', 'Building', 'Block', 'No.', 'PO Box'])} ${number(1, 999)}${chance(0.15) ? letter() : ''}`;
  const street = (): string => {
    const draw = random();
    if (draw < 0.17) return `${house()} ${fakerStreet()}`;
    if (draw < 0.45) return `${house()} ${streetName()} ${of(STREET_TYPES)}`;
    if (draw < 0.48)
      return `${house()} ${of(['North', 'South', 'E', 'W', 'N.', 'S.', 'West', 'NW', 'East', 'Old', 'Upper', 'Lower'])} ${streetName()} ${of(STREET_TYPES)}`;
    if (draw < 0.51)
      return `${of(['P.O. Box', 'PO Box', 'P. O. Box', 'Postfach', 'Apartado'])} ${number(10, 99_999)}`;
    if (draw < 0.55)
      return `${house()} ${of(['', 'N ', 'West ', 'E. '])}${number(1, 120)}${of(['st', 'nd', 'rd', 'th'])} ${of(STREET_TYPES)}`;
    if (draw < 0.58) return `${streetName()} ${of(STREET_TYPES)} ${house()}`;
    if (draw < 0.6) return `${house()} ${streetName()}`;
    return of(FOREIGN_STREETS)(streetName(), house());
  };
  const region = () => of(chance(0.8) ? STATE_CODES : STATES);
  const address = (): string => {
    const gap = of([', ', '\n', ', ', ' ', '\n', '\n ', ' - ', ' , ']);
    const way = `${street()}${chance(0.25) ? `${of([' ', ', ', '\n'])}${unit()}` : ''}`;
    const end = chance(0.25) ? `${of([', ', '\n', ' ', '\n ', ',\n'])}${of(COUNTRIES)}` : '';
    const place = chance(0.12) ? city().toUpperCase() : city();
    const draw = random();
    if (draw < 0.22) return way;
    if (draw < 0.32) return `${way}${gap}${place}${end}`;
    if (draw < 0.52) return `${way}${gap}${place}${of([', ', ' ', '\n, ', '\n'])}${region()} ${zip()}${end}`;
    if (draw < 0.6)
      return `${way}${gap}${place}, ${region()}${of([' ', ', ', '\n'])}${end}${chance(0.5) ? ` ${zip()}` : ''}`.trimEnd();
    if (draw < 0.78) return `${way}${gap}${zip()} ${place}${end}`;
    if (draw < 0.86) return `${way}${gap}${place}${of([' ', ', ', '\n'])}${zip()}${end}`;
    if (draw < 0.9) return `${way}${gap}${of(STATE_CODES)} ${place}${of([' ', ', ', '\n'])}${zip()}${end}`;
    if (draw < 0.94) return `${way}${gap}${city()}${gap}${place} ${zip()}${end}`;
    return `${way}${gap}${chance(0.5) ? `${zip()} ` : ''}${place}${gap}${of(COUNTRIES)}${chance(0.4) ? ` ${zip()}` : ''}`;
  };
  return { zip, house, street, address, unit };
}
