import { once } from 'node:events';
import { createServer } from 'node:net';
import { codeOf } from '#app/data-directory/code-of.ts';
import { withErrorListener } from '#app/faults/with-error-listener.ts';
import { CliError } from '#cli/cli-error.ts';

/** Says at once, before anything slow is started, that the address cannot be listened on. */
export async function checkPort(host: string, port: number): Promise<void> {
  const probe = withErrorListener(createServer());
  try {
    probe.listen({ host, port, exclusive: true });
    await once(probe, 'listening');
  } catch (error) {
    throw listenFailure(host, port, error);
  }
  probe.close();
  await once(probe, 'close');
}

/** Why the address cannot be listened on, and what to do. */
export function listenFailure(host: string, port: number, error: unknown): CliError {
  const code = codeOf(error);
  if (code === 'EADDRINUSE') {
    return new CliError(
      `Port ${port} on ${host} is in use. Stop what uses it, or choose another: PORT=${port === 8080 ? 8081 : 8080} npm start\n` +
        'PORT=0 takes a free one.',
      { cause: error },
    );
  }
  if (code === 'EACCES') {
    return new CliError(`Port ${port} needs rights that this user lacks. Choose one above 1023: PORT=8080`, {
      cause: error,
    });
  }
  if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND') {
    return new CliError(`HOST=${host} is no address of this machine. 127.0.0.1 is; 0.0.0.0 means all.`, {
      cause: error,
    });
  }
  return new CliError(`Listening on ${host}:${port} failed: ${String(code ?? error)}.`, { cause: error });
}
