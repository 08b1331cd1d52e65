import { type Command, Option } from 'commander';
import { openSettings } from '#app/settings/aws-settings.ts';
import type { LiveSettings } from '#app/settings/live-settings.ts';
import { SettingsError } from '#app/settings/load-settings.ts';
import { SERVICES_OF_SETTING, type ServiceName, shownSetting } from '#app/settings/setting-facts.ts';
import type { SettingOrigin } from '#app/settings/setting-origin.ts';
import { isSettingName } from '#app/settings/setting-origin.ts';
import { settingsSchema } from '#app/settings/settings.ts';
import { CliError } from '#cli/cli-error.ts';
import { type CliIo, writeJson, writeLine } from '#cli/cli-io.ts';
import { renderTable } from '#cli/output/table.ts';

const SERVICES = ['router', 'orchestrator', 'rag'] as const satisfies readonly ServiceName[];

/** `settings`: what a service started here and now would run with, and where each value comes from. */
export function addSettingsCommand(program: Command, io: CliIo): void {
  program
    .command('settings')
    .description('every setting of this environment, its source and value; secrets are masked')
    .addOption(new Option('--service <service>', 'of this service alone').choices(SERVICES))
    .option('--json', 'as one JSON document')
    .action(async (options: { service?: ServiceName; json?: boolean }) => {
      const live = await open(io);
      try {
        const rows = rowsOf(live, options.service);
        if (options.json === true) {
          writeJson(io.stdout, { aws: live.aws && awsOf(live.aws), settings: rows });
          return;
        }
        if (live.aws !== null) {
          const role = live.aws.roleArn === null ? '' : ` as ${live.aws.roleArn}`;
          writeLine(io.stdout, `AWS: ${live.aws.region}, credentials of ${live.aws.credentials}${role}\n`);
        }
        const cells = rows.map(({ name, source, value }) => [name, source, value ?? '']);
        writeLine(io.stdout, renderTable(['SETTING', 'SOURCE', 'VALUE'], cells));
      } finally {
        live.close();
      }
    });
}

async function open(io: CliIo): Promise<LiveSettings> {
  try {
    return await openSettings(io.env);
  } catch (error) {
    if (error instanceof SettingsError) throw new CliError(error.message, { cause: error });
    throw error;
  }
}

function rowsOf(live: LiveSettings, service: ServiceName | undefined) {
  return Object.keys(settingsSchema.shape)
    .filter(isSettingName)
    .filter((name) => service === undefined || SERVICES_OF_SETTING[name].includes(service))
    .map((name) => ({
      name,
      source: sourceOf(live.originOf(name)),
      value: shownSetting(name, live.settings),
    }));
}

const sourceOf = (origin: SettingOrigin): string =>
  origin.kind === 'secret' ? `secret ${origin.id}` : origin.kind;

const awsOf = ({ region, roleArn, credentials }: NonNullable<LiveSettings['aws']>) => ({
  region,
  role_arn: roleArn,
  credentials,
});
