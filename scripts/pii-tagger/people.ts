import { COMPANIES, COMPANY_ENDS, COMPANY_NOUNS, COMPANY_WORDS } from './lists.ts';
import { pickOf } from './random.ts';

type Draw = () => string;

/** One source of names: a locale's, or the census. */
export type NameSource = Readonly<{ first: Draw; last: Draw }>;

/** Draws names of people in the orders and parts in which they are written. */
export function personMaker(sources: readonly NameSource[], random: () => number) {
  const source = () => pickOf(sources, random);
  const letter = () => String.fromCharCode(65 + Math.floor(random() * 26));
  const first = (): string => source().first();
  const last = (): string => source().last();
  const person = (): string => {
    const own = source();
    const given = own.first();
    const family = own.last();
    const draw = random();
    if (draw < 0.5) return `${given} ${family}`;
    if (draw < 0.58) return `${given} ${letter()}. ${family}`;
    if (draw < 0.63) return `${given} ${letter()} ${family}`;
    if (draw < 0.67) return `${given} ${own.first()} ${family}`;
    if (draw < 0.7) return `${given} ${family} ${own.last()}`;
    if (draw < 0.73) return `${given} ${family}-${own.last()}`;
    if (draw < 0.75) return `${given}-${own.first()} ${family}`;
    if (draw < 0.775) return `${family}, ${given}`;
    if (draw < 0.79) return `${letter()}. ${family}`;
    if (draw < 0.8) return `${letter()}. ${letter()}. ${family}`;
    if (draw < 0.815)
      return `${given} ${pickOf(['van', 'van der', 'de', 'de la', 'von', 'di', 'da', 'bin', 'al', 'Mc', 'O’', 'del', 'ten'], random)} ${family}`;
    if (draw < 0.825)
      return `${given} ${family}${pickOf([' Jr.', ' Jr', ' Sr.', ' III', ' II', ', Jr.', ' PhD', ' MD'], random)}`;
    if (draw < 0.835) return `${given} "${own.first()}" ${family}`;
    if (draw < 0.845) return `${given} ${family.toUpperCase()}`;
    if (draw < 0.94) return given;
    return family;
  };
  return { first, last, person };
}

export type OrganizationParts = Readonly<{
  random: () => number;
  first: Draw;
  last: Draw;
  city: Draw;
  country: Draw;
  fakerCompany: Draw;
  /** Names of real companies. */
  companies: readonly string[];
}>;

const BRAND_STARTS =
  'b,br,c,ch,d,dr,f,fl,g,gl,h,j,k,kr,l,m,n,p,pl,qu,r,s,st,t,tr,v,w,x,z,syn,ver,nov,acc,alt,ver,tel,cal'.split(
    ',',
  );
const BRAND_MIDDLES = 'a,e,i,o,u,en,or,il,ar,ev,ax,ent,ico,iva,era,ola,ust,imo,eta,ina'.split(',');

/** Draws names of companies, offices, schools, clubs and the like. */
export function organizationMaker({
  random,
  first,
  last,
  city,
  country,
  fakerCompany,
  companies,
}: OrganizationParts): Draw {
  const of = (list: readonly string[]) => pickOf(list, random);
  const word = () => of(COMPANY_WORDS);
  const noun = () => of(COMPANY_NOUNS);
  const end = () => of(COMPANY_ENDS);
  /** A made-up word, as brands are. */
  const brand = () => {
    const made = Array.from(
      { length: 1 + Math.floor(random() * 2) },
      () => `${of(BRAND_STARTS)}${of(BRAND_MIDDLES)}`,
    ).join('');
    return `${made.charAt(0).toUpperCase()}${made.slice(1)}${of(['', '', 'x', 'on', 'ia', 'is', 'ex', 'o', 'us', 'a', 'ent', 'ix', 'or'])}`;
  };
  return () => {
    const draw = random();
    if (draw < 0.1) return fakerCompany();
    if (draw < 0.19) return `${last()} ${end()}`;
    if (draw < 0.22) return `${last()}, ${end()}`;
    if (draw < 0.28) return `${last()}${of([' and ', ' & ', '-', '-', ' + '])}${last()}`;
    if (draw < 0.315) return `${last()}, ${last()} ${of(['and', '&'])} ${last()}`;
    if (draw < 0.33) return brand();
    if (draw < 0.37) return `${last()} ${noun()}`;
    if (draw < 0.385) return `${first()}'s ${noun()}`;
    if (draw < 0.39) return `${last()}'s`;
    if (draw < 0.5) return of(COMPANIES);
    if (draw < 0.68) return of(companies);
    if (draw < 0.75) return `${word()} ${noun()}${random() < 0.2 ? ` ${end()}` : ''}`;
    if (draw < 0.78) return `${word()} ${word()}${random() < 0.3 ? ` ${noun()}` : ''}`;
    if (draw < 0.79) return `${word()} ${of(['and', '&', 'of', "'n"])} ${word()}`;
    if (draw < 0.83)
      return `${of(['University of', 'Bank of', 'Museum of', 'City of', 'Port of', 'Ministry of', 'College of', 'Department of', 'Institute of', 'Embassy of', 'Church of', 'Friends of', 'Republic of', 'Government of'])} ${random() < 0.7 ? city() : country()}`;
    if (draw < 0.85)
      return `${of(['Department of', 'Ministry of', 'Office of', 'Bureau of', 'Institute of', 'Council for', 'Society for', 'Centre for', 'Academy of'])} ${of(['Health', 'Justice', 'Education', 'Defence', 'Finance', 'Labor', 'Agriculture', 'Transport', 'Foreign Affairs', 'Science', 'Culture', 'Statistics', 'Human Rights', 'Public Works', 'Arts'])}`;
    if (draw < 0.9)
      return `${city()} ${random() < 0.6 ? noun() : of(['University', 'City Council', 'State University', 'General Hospital', 'High School', 'FC', 'United', 'Police Department', 'Airport', 'Times', 'Post', 'Chamber Orchestra'])}`;
    if (draw < 0.93)
      return `${word()}${of(['tech', 'soft', 'line', 'mart', 'net', 'works', 'ify', 'ly', 'corp', 'Tech', 'Soft', 'Mart', 'Net', 'Works', 'Bank', 'Cloud', '.com', '.io'])}`;
    if (draw < 0.96)
      return Array.from({ length: 2 + Math.floor(random() * 3) }, () =>
        String.fromCharCode(65 + Math.floor(random() * 26)),
      ).join('');
    if (draw < 0.975)
      return `${of(['The', 'La', 'El', 'Casa', 'Café', 'Chez', 'St.', 'Saint', 'Il', 'Le'])} ${random() < 0.5 ? word() : last()}${random() < 0.4 ? ` ${noun()}` : ''}`;
    return `${country()} ${noun()}`;
  };
}
