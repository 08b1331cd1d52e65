import { pickOf } from './random.ts';

const WORDS =
  'user,get,set,is,on,total,value,max,index,node,parse,token,stream,error,request,handler,config,file,item,list,name,type,state,render,list,cache,route,query,batch,event,count,size,page,limit,offset,status,result,buffer,worker,queue,task,session,model,view,field,row,column'.split(
    ',',
  );
const PRODUCTS =
  'ThinkPad X1,Galaxy S24,iPhone 15 Pro,Model Y,Series 7,Pixel 8,Air Max 90,Surface Go,Kindle Oasis,EOS R6,Golf GTI,Stylus Photo,Deskjet 2700,Barista Express,Air Fryer XL,Trail Runner 3,Aurora Lamp,Nordic Chair,Summit Jacket,Titan Drill 18V,Classic Mug,Garden Hose,Wool Scarf,Oak Table,Desk Mat,Bike Lock,Blue Ceramic Bowl,USB-C Cable,Night Cream,Espresso Beans'.split(
    ',',
  );

/** Draws what programs, shops and logs are full of, and what is nobody's. */
export function technicalMaker(random: () => number) {
  const number = (least: number, most: number) => least + Math.floor(random() * (most - least + 1));
  const of = <T>(list: readonly T[]): T => pickOf(list, random);
  const from = (alphabet: string, count: number) =>
    Array.from({ length: count }, () => alphabet[number(0, alphabet.length - 1)]).join('');
  const hex = (count: number) => from('0123456789abcdef', count);
  const capital = (word: string) => word.charAt(0).toUpperCase() + word.slice(1);
  const identifier = (): string => {
    const parts = Array.from({ length: number(1, 3) }, () => of(WORDS));
    const draw = random();
    if (draw < 0.4) return parts.map((part, index) => (index === 0 ? part : capital(part))).join('');
    if (draw < 0.6) return parts.map(capital).join('');
    if (draw < 0.8) return parts.join('_');
    if (draw < 0.9) return parts.join('_').toUpperCase();
    return parts.join('-');
  };
  return {
    identifier,
    version: () =>
      `${of(['', '', 'v', '^', '~'])}${number(0, 24)}.${number(0, 40)}.${number(0, 20)}${of(['', '', '', '-beta.1', '-rc.2', '.1'])}`,
    uuid: () => `${hex(8)}-${hex(4)}-4${hex(3)}-a${hex(3)}-${hex(12)}`,
    hash: () => hex(of([7, 8, 12, 32, 40, 64])),
    base64: () =>
      `${of(['', 'sha512-', 'sha1-'])}${from('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/', number(22, 86))}${of(['', '=', '=='])}`,
    path: () =>
      `${of(['/', './', '../', 'src/', '/usr/lib/'])}${of(WORDS)}/${of(WORDS)}.${of(['ts', 'js', 'py', 'json', 'md', 'log', 'csv'])}`,
    product: () => of(PRODUCTS),
    duration: () => `${number(1, 9_999)}${of(['ms', ' ms', 's', ' µs', ' min'])}`,
    bytes: () => `${number(1, 9_999_999)}${of([' bytes', ' KB', 'MB', ' GB', ''])}`,
    epoch: () => `${number(1_500_000_000, 1_800_000_000)}${of(['', '000', '123'])}`,
    percent: () => `${number(0, 100)}.${number(0, 99)}%`,
    level: () => of(['INFO', 'WARN', 'ERROR', 'DEBUG', 'info', 'error', 'TRACE', 'notice']),
  };
}
