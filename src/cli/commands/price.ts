import { type Command, InvalidArgumentError } from 'commander';
import { type ListedPrice, priceListSchema, pricePageSchema } from '#app/schemas/price.ts';
import { type CliIo, printable, writeJson, writeLine } from '#cli/cli-io.ts';
import { checkedTime } from '#cli/commands/checked-time.ts';
import { readAllPages } from '#cli/commands/read-all-pages.ts';
import { type ConnectionOptions, connect, withConnection } from '#cli/connection.ts';
import { renderTable } from '#cli/output/table.ts';

type SetOptions = ConnectionOptions & { prompt: number; completion: number; from?: string };

/** `price list|set`: what models cost, for the ledger and the budgets (operator). */
export function addPriceCommands(program: Command, io: CliIo): void {
  const price = program.command('price').description('what models cost (operator)');

  withConnection(price.command('list'), 'operator')
    .description('every price of every model, the one that was added last first')
    .action(async (options: ConnectionOptions) => {
      const api = await connect(io, options, 'operator');
      const prices = await readAllPages(api, '/admin/prices', pricePageSchema, ({ version }) =>
        String(version),
      );
      if (options.json === true) return writeJson(io.stdout, { object: 'list', data: prices });
      if (prices.length === 0) return writeLine(io.stdout, 'No prices are set: those of the settings hold.');
      writeLine(io.stdout, renderTable(HEADER, prices.map(rowOf)));
    });

  withConnection(price.command('set <model>'), 'operator')
    .description('set what a model costs from a time on; what was used before keeps its price')
    .requiredOption('--prompt <usd>', 'dollars for a million prompt tokens', dollars)
    .requiredOption('--completion <usd>', 'dollars for a million completion tokens', dollars)
    .option('--from <time>', 'when it begins, such as 2027-01-01T00:00:00Z (default: now)', checkedTime)
    .addHelpText('after', "\nThe model '*' is every model without a price of its own.")
    .action(async (model: string, { prompt, completion, from, ...options }: SetOptions) => {
      const api = await connect(io, options, 'operator');
      const added = await api.request('/admin/prices', priceListSchema, {
        method: 'PUT',
        json: {
          prices: [
            {
              model,
              usd_per_million_prompt_tokens: prompt,
              usd_per_million_completion_tokens: completion,
              ...(from === undefined ? {} : { effective_from: from }),
            },
          ],
        },
      });
      if (options.json === true) return writeJson(io.stdout, added);
      writeLine(io.stdout, renderTable(HEADER, added.data.map(rowOf)));
    });
}

const HEADER = ['version', 'model', 'from', 'prompt, $/M', 'completion, $/M', 'by'];

const rowOf = (price: ListedPrice): (string | number)[] => [
  price.version,
  printable(price.model),
  price.effective_from,
  price.usd_per_million_prompt_tokens,
  price.usd_per_million_completion_tokens,
  printable(price.author),
];

/** An amount of dollars; nothing is free by mistake. */
export function dollars(text: string): number {
  if (!/^[0-9]{1,7}(\.[0-9]{1,9})?$/.test(text)) {
    throw new InvalidArgumentError('Write dollars such as 0.15 or 20.');
  }
  return Number(text);
}
