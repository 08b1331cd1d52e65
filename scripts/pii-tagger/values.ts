import { pickOf } from '../prompt-guard/grammar.ts';

type Random = () => number;

/** What is used of @faker-js/faker 10, which is no dependency: training alone needs it. */
export type Faker = Readonly<{
  seed: (seed: number) => unknown;
  person: { firstName: () => string; lastName: () => string };
  location: { city: () => string; street: () => string; streetAddress: () => string; zipCode: () => string };
  company: { name: () => string };
  phone: { number: () => string };
  internet: { email: () => string };
  finance: { creditCardNumber: () => string; iban: () => string };
}>;

const words = (text: string): string[] => text.split(',').map((word) => word.trim());

const COUNTRIES = words(
  'France,Germany,Spain,Italy,Portugal,the Netherlands,Belgium,Sweden,Norway,Denmark,Finland,Poland,Hungary,Greece,Turkey,Russia,Ukraine,China,Japan,India,Brazil,Argentina,Mexico,Canada,the United States,USA,U.S.,United States,America,UK,United Kingdom,England,Scotland,Wales,Ireland,Australia,New Zealand,South Africa,Egypt,Kenya,Nigeria,Morocco,Israel,Iran,Iraq,Syria,Saudi Arabia,Vietnam,Thailand,South Korea,Indonesia,Malaysia,Singapore,Philippines,Pakistan,Bangladesh,Switzerland,Austria,Czech Republic,Slovakia,Slovenia,Croatia,Serbia,Bulgaria,Romania,Cuba,Peru,Chile,Colombia,Venezuela,Iceland,Luxembourg,Lithuania,Latvia,Estonia,Uruguay,Ghana,Ethiopia,Uganda,Jamaica,Cyprus,Malta,Lebanon,Jordan,Nepal,Sri Lanka',
);
const STATES = words(
  'California,Texas,New York,Florida,Illinois,Ohio,Georgia,Michigan,Virginia,Washington,Arizona,Massachusetts,Tennessee,Indiana,Missouri,Maryland,Colorado,Minnesota,Oregon,Nevada,Utah,Ontario,Quebec,New South Wales,Queensland,Bavaria,Yorkshire,Kent,Texas,Alabama,Kansas,Hawaii,Alaska',
);
const STATE_CODES = words(
  'CA,TX,NY,FL,IL,OH,GA,MI,VA,WA,AZ,MA,TN,IN,MO,MD,CO,MN,OR,NV,UT,AL,KS,NJ,PA,NC,SC,WI,CT,IA,OK,KY,LA,AR,MS,NM,WV,NE,ID,HI,ME,NH,RI,MT,DE,SD,ND,AK,VT,WY',
);
const NATIONALITIES = words(
  'French,German,Spanish,Italian,Portuguese,Dutch,Belgian,Swedish,Norwegian,Danish,Finnish,Polish,Hungarian,Greek,Turkish,Russian,Ukrainian,Chinese,Japanese,Indian,Brazilian,Argentinian,Mexican,Canadian,American,British,English,Scottish,Welsh,Irish,Australian,South African,Egyptian,Kenyan,Nigerian,Moroccan,Israeli,Iranian,Iraqi,Syrian,Saudi,Vietnamese,Thai,Korean,Indonesian,Malaysian,Filipino,Pakistani,Swiss,Austrian,Czech,Slovak,Slovenian,Croatian,Serbian,Bulgarian,Romanian,Cuban,Peruvian,Chilean,Colombian,Icelandic,Jewish,Muslim,Christian,Catholic,Protestant,Hindu,Buddhist,Sikh,Arab,Kurdish,European,African,Asian,Latino,Ethiopian,Ghanaian,Jamaican,Republican,Democrat,Uruguayan,Estonian,Latvian,Lithuanian,Afghan,Bolivian',
);
const COMPANIES = words(
  "Microsoft,Google,Apple,Amazon,IBM,Intel,Oracle,Cisco,Siemens,Bosch,Volkswagen,BMW,Toyota,Honda,Sony,Samsung,Nokia,Ericsson,Philips,Shell,BP,Total,Chevron,Walmart,Target,Costco,IKEA,Nestle,Unilever,Pfizer,Novartis,Bayer,Roche,Citibank,Chase,Wells Fargo,Barclays,HSBC,Santander,ING,Visa,Mastercard,PayPal,Netflix,Disney,Spotify,Uber,Airbnb,Tesla,Ford,General Motors,Boeing,Airbus,Lufthansa,Delta,United Airlines,Ryanair,FedEx,UPS,DHL,Verizon,AT&T,Vodafone,Orange,BBC,CNN,Reuters,The New York Times,NASA,FBI,CIA,UNICEF,Red Cross,World Bank,European Union,United Nations,NATO,Harvard University,MIT,Stanford,Oxford University,Starbucks,McDonald's,Burger King,Coca-Cola,Pepsi,Nike,Adidas,Zara,H&M,Macy's,Home Depot,Best Buy,Facebook,Twitter,LinkedIn,Reddit,Salesforce,Adobe,SAP,Deloitte,KPMG,Goldman Sachs,Morgan Stanley,JPMorgan,Bank of America,Federal Reserve,Congress,Senate,Supreme Court",
);
const COMPANY_ENDS = words(
  'Inc,Inc.,LLC,Ltd,Ltd.,Limited,GmbH,AG,Corp,Corporation,Group,Partners,and Sons,& Sons,Brothers,Holdings,Industries,Solutions,Systems,Technologies,Consulting,Associates,Bank,Insurance,Foods,Motors,Pharma,Labs,Media,Airlines,Logistics,Properties,Capital,Ventures,Electronics,PLC,S.A.,B.V.,Oy,AB,& Co,Company,Stores,Foundation,Studios',
);
const COMPANY_WORDS = words(
  'Blue,Green,Northern,Pacific,Global,First,United,Golden,Silver,Bright,Smart,Prime,Royal,National,American,Digital,Urban,Rapid,Solar,Alpine,Crystal,Summit,Harbor,River,Oak,Pioneer,Modern,Star,Sun,Red,Eagle,Fusion,Quantum,Atlas,Apex,Zen,Vertex,Nova,Delta,Omega,Metro,Country,Family,Happy,Grand',
);
const COMPANY_NOUNS = words(
  'Foods,Energy,Health,Bank,Travel,Homes,Design,Books,Music,Fitness,Garden,Software,Networks,Water,Steel,Paper,Toys,Optics,Mobile,Credit Union,Realty,Markets,Pizza,Coffee,Hardware,Shoes,Fashion,Cafe,Theatre,Museum,Hospital,School,University,College,Hotel,Church,Library,Club,Records,Auto Parts,Drugs,Furniture',
);
const TITLES = words(
  'Mr.,Mrs.,Ms.,Miss,Dr.,Prof.,Mr,Mrs,Ms,Dr,Sir,Madam,Professor,Doctor,Rev.,Capt.,Sgt.,Judge,Hon.',
);
const MONTHS = words(
  'January,February,March,April,May,June,July,August,September,October,November,December,Jan,Feb,Mar,Apr,Jun,Jul,Aug,Sep,Sept,Oct,Nov,Dec',
);
const DAYS = words('Monday,Tuesday,Wednesday,Thursday,Friday,Saturday,Sunday');
const STREET_TYPES = words(
  'Street,St,St.,Avenue,Ave,Ave.,Road,Rd,Rd.,Lane,Ln,Drive,Dr,Court,Ct,Place,Pl,Boulevard,Blvd,Blvd.,Way,Terrace,Circle,Square,Parkway,Highway,Crescent,Close,Trail,Alley,Loop,Row,Hill,Grove,Gardens,Plaza,Walk,Mews,Heights,Crossing,Ridge',
);
const FOREIGN_STREETS: readonly ((name: string, number: string) => string)[] = [
  (name, number) => `${name}straße ${number}`,
  (name, number) => `${name}strasse ${number}`,
  (name, number) => `${name} str. ${number}`,
  (name, number) => `${name}weg ${number}`,
  (name, number) => `${name}gatan ${number}`,
  (name, number) => `${name}vägen ${number}`,
  (name, number) => `${name}vej ${number}`,
  (name, number) => `${name}gade ${number}`,
  (name, number) => `${name}veien ${number}`,
  (name, number) => `${name}straat ${number}`,
  (name, number) => `${name}laan ${number}`,
  (name, number) => `${name}katu ${number}`,
  (name, number) => `${name} utca ${number}.`,
  (name, number) => `${name} út ${number}`,
  (name, number) => `ul. ${name} ${number}`,
  (name, number) => `${number} rue ${name}`,
  (name, number) => `${number}, rue de ${name}`,
  (name, number) => `${number} avenue ${name}`,
  (name, number) => `${number}, place ${name}`,
  (name, number) => `Calle ${name} ${number}`,
  (name, number) => `C/ ${name}, ${number}`,
  (name, number) => `Avenida ${name} ${number}`,
  (name, number) => `Av. ${name}, ${number}`,
  (name, number) => `Via ${name} ${number}`,
  (name, number) => `Via ${name}, ${number}`,
  (name, number) => `Corso ${name} ${number}`,
  (name, number) => `Piazza ${name} ${number}`,
  (name, number) => `Rua ${name} ${number}`,
  (name, number) => `Rua ${name}, ${number}`,
  (name, number) => `${number} ${name} utca`,
  (name, number) => `${name} ${number}`,
];

/** Draws values of every kind that the templates name. `cities` are real ones, of many countries. */
export function valueMaker(fakers: readonly Faker[], cities: readonly string[], random: Random) {
  const faker = () => pickOf(fakers, random);
  const chance = (probability: number) => random() < probability;
  const number = (least: number, most: number) => least + Math.floor(random() * (most - least + 1));
  const digits = (count: number) => Array.from({ length: count }, () => number(0, 9)).join('');
  const letter = () => String.fromCharCode(65 + number(0, 25));
  const first = () => faker().person.firstName();
  const last = () => faker().person.lastName();
  const person = (): string => {
    const own = faker();
    const given = own.person.firstName();
    const family = own.person.lastName();
    const draw = random();
    if (draw < 0.5) return `${given} ${family}`;
    if (draw < 0.62) return `${given} ${letter()}. ${family}`;
    if (draw < 0.7) return `${given} ${own.person.firstName()} ${family}`;
    if (draw < 0.74) return `${given} ${family}-${own.person.lastName()}`;
    if (draw < 0.78) return `${family}, ${given}`;
    if (draw < 0.9) return given;
    return family;
  };
  const location = (): string => {
    const draw = random();
    if (draw < 0.45) return pickOf(cities, random);
    if (draw < 0.65) return faker().location.city();
    if (draw < 0.9) return pickOf(COUNTRIES, random);
    return pickOf(STATES, random);
  };
  const zip = (): string => {
    const draw = random();
    if (draw < 0.45) return digits(5);
    if (draw < 0.55) return `${digits(5)}-${digits(4)}`;
    if (draw < 0.7) return digits(4);
    if (draw < 0.85) return `${letter()}${letter()}${number(1, 99)} ${number(1, 9)}${letter()}${letter()}`;
    if (draw < 0.92) return `${letter()}${number(1, 9)}${letter()} ${number(1, 9)}${letter()}${number(1, 9)}`;
    return faker().location.zipCode();
  };
  const streetName = () =>
    chance(0.5) ? last() : chance(0.5) ? pickOf(cities, random) : faker().person.lastName();
  const street = (): string => {
    const draw = random();
    const house = String(number(1, chance(0.5) ? 99 : 9_999)) + (chance(0.06) ? letter().toLowerCase() : '');
    if (draw < 0.3) return `${house} ${faker().location.street()}`;
    if (draw < 0.62) return `${house} ${streetName()} ${pickOf(STREET_TYPES, random)}`;
    if (draw < 0.66)
      return `${house} ${pickOf(['North', 'South', 'E', 'W', 'N.', 'West', 'NW'], random)} ${streetName()} ${pickOf(STREET_TYPES, random)}`;
    if (draw < 0.69) return `P.O. Box ${number(10, 9_999)}`;
    if (draw < 0.73)
      return `${house} ${number(1, 120)}${pickOf(['st', 'nd', 'rd', 'th'], random)} ${pickOf(STREET_TYPES, random)}`;
    if (draw < 0.78) return faker().location.streetAddress();
    return pickOf(FOREIGN_STREETS, random)(streetName(), house);
  };
  const unit = () =>
    `${pickOf(['Apt.', 'Apt', 'Suite', 'Unit', 'Flat', '#', 'Floor', 'Room'], random)} ${number(1, 999)}`;
  const address = (): string => {
    const gap = pickOf([', ', '\n', ', ', ' '], random);
    const way = `${street()}${chance(0.25) ? `${pickOf([' ', ', ', '\n'], random)}${unit()}` : ''}`;
    const draw = random();
    const city = chance(0.7) ? pickOf(cities, random) : faker().location.city();
    if (draw < 0.3) return way;
    if (draw < 0.4) return `${way}${gap}${city}`;
    if (draw < 0.68)
      return `${way}${gap}${city}, ${pickOf(chance(0.8) ? STATE_CODES : STATES, random)} ${zip()}`;
    if (draw < 0.8) return `${way}${gap}${zip()} ${city}`;
    if (draw < 0.9) return `${way}${gap}${city}${pickOf([' ', ', ', '\n'], random)}${zip()}`;
    return `${way}${gap}${chance(0.5) ? `${zip()} ` : ''}${city}${gap}${pickOf(COUNTRIES, random)}${chance(0.3) ? ` ${zip()}` : ''}`;
  };
  const organization = (): string => {
    const draw = random();
    if (draw < 0.2) return faker().company.name();
    if (draw < 0.35) return `${last()} ${pickOf(COMPANY_ENDS, random)}`;
    if (draw < 0.45) return `${last()}${pickOf([' and ', ' & ', '-', ', '], random)}${last()}`;
    if (draw < 0.5) return `${last()}, ${last()} and ${last()}`;
    if (draw < 0.65) return pickOf(COMPANIES, random);
    if (draw < 0.75)
      return `${pickOf(COMPANY_WORDS, random)} ${pickOf(COMPANY_NOUNS, random)}${chance(0.3) ? ` ${pickOf(COMPANY_ENDS, random)}` : ''}`;
    if (draw < 0.8) return `${pickOf(COMPANY_WORDS, random)} ${pickOf(COMPANY_WORDS, random)}`;
    if (draw < 0.86)
      return `${pickOf(['University of', 'Bank of', 'Museum of', 'City of', 'Port of', 'Ministry of', 'College of'], random)} ${pickOf(cities, random)}`;
    if (draw < 0.93) return `${pickOf(cities, random)} ${pickOf(COMPANY_NOUNS, random)}`;
    return `${pickOf(COMPANY_WORDS, random)}${pickOf(['tech', 'soft', 'line', 'mart', 'net', 'works', 'ify', 'ly', 'corp'], random)}`;
  };
  const year = () => String(number(1930, 2030));
  const date = (): string => {
    const month = pickOf(MONTHS, random);
    const day = number(1, 31);
    const pad = (value: number) => String(value).padStart(2, '0');
    const ordinal = `${day}${pickOf(['st', 'nd', 'rd', 'th'], random)}`;
    return pickOf(
      [
        `${month} ${day}, ${year()}`,
        `${month} ${day}`,
        `${day} ${month} ${year()}`,
        `${ordinal} of ${month}`,
        `${month} ${ordinal}`,
        `${month} ${year()}`,
        `${number(1, 12)}/${day}/${year()}`,
        `${pad(number(1, 12))}/${pad(day)}/${year().slice(2)}`,
        `${year()}-${pad(number(1, 12))}-${pad(day)}`,
        `${pad(day)}.${pad(number(1, 12))}.${year()}`,
        `${pad(day)}-${pad(number(1, 12))}-${year()}`,
        pickOf(DAYS, random),
        `${pickOf(DAYS, random)}, ${month} ${day}`,
        year(),
        `${ordinal} ${month} ${year()}`,
        month,
        `${year()}/${pad(number(1, 12))}/${pad(day)}`,
        `the ${number(3, 9) * 10 + 1900}s`.slice(4),
        `${pickOf(DAYS, random)} ${day} ${month}`,
        `${pad(day)}/${pad(number(1, 12))}`,
      ],
      random,
    );
  };
  const license = () =>
    pickOf(
      [
        `${letter()}${digits(7)}`,
        digits(8),
        `${letter()}${digits(12)}`,
        `${letter()}${letter()}${digits(6)}`,
        `${letter()}${digits(3)}-${digits(4)}-${digits(4)}`,
        digits(9),
      ],
      random,
    );
  const state = () => pickOf(STATES, random);
  return {
    first,
    last,
    person,
    location,
    zip,
    street,
    address,
    organization,
    date,
    license,
    state,
    year,
    state_code: () => pickOf(STATE_CODES, random),
    country: () => pickOf(COUNTRIES, random),
    title: () => pickOf(TITLES, random),
    age: () => String(number(1, 99)),
    nationality: () => pickOf(NATIONALITIES, random),
    phone: () => (chance(0.5) ? faker().phone.number() : `(${digits(3)}) ${digits(3)}-${digits(4)}`),
    email: () => faker().internet.email(),
    card: () => faker().finance.creditCardNumber(),
    iban: () => faker().finance.iban(),
    ssn: () => `${number(100, 665)}-${number(10, 99)}-${number(1000, 9999)}`,
  };
}
