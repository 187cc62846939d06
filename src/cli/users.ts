import { Command, InvalidArgumentError } from 'commander';
import { DEFAULT_ITERATIONS, formatVerifier, makeVerifier, MAX_ITERATIONS } from '../auth/scram.ts';
import { writeUserLine } from '../auth/user-lines.ts';
import { isLoginName } from '../policy/principal.ts';

export function usersCommand(): Command {
  return new Command('users')
    .description('make a line for the file of users (auth.users): NAME: SCRAM-SHA-256$...')
    .argument('<name>', 'login name')
    .option('-i, --iterations <number>', 'how often the password is hashed; more makes guessing dearer, and logins', iterations, DEFAULT_ITERATIONS)
    .addHelpText('after', `
The password is asked for without echo, or read from the first line of standard input if that is no terminal.
PostgreSQL must hold the same verifier: Rowgate logs in with the keys that the client proves. So give the server the text behind the name:
  ALTER ROLE name PASSWORD 'SCRAM-SHA-256$...';`)
    .action(async (name: string, options: { iterations: number }) => {
      if (!isLoginName(name)) return fail('a login name has 1 to 63 bytes');
      const password = process.stdin.isTTY ? await askTwice() : await firstLine();
      if (password === undefined) return fail('the two passwords differ');
      if (password === '') return fail('the password is empty');
      process.stdout.write(`${writeUserLine(name, formatVerifier(await makeVerifier(password, { iterations: options.iterations })))}\n`);
    });
}

function iterations(text: string): number {
  const number = Number(text);
  if (!Number.isInteger(number) || number < DEFAULT_ITERATIONS || number > MAX_ITERATIONS) throw new InvalidArgumentError(`from ${DEFAULT_ITERATIONS} to ${MAX_ITERATIONS}.`);
  return number;
}

function fail(problem: string): void {
  process.stderr.write(`${problem}\n`);
  process.exitCode = 1;
}

async function firstLine(): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8').split(/\r?\n/)[0] ?? '';
}

async function askTwice(): Promise<string | undefined> {
  const first = await askHidden('Password: ');
  return first === (await askHidden('Again: ')) ? first : undefined;
}

/** In raw mode nothing that is typed is shown. */
function askHidden(question: string): Promise<string> {
  process.stderr.write(question);
  const { stdin } = process;
  stdin.setRawMode(true);
  stdin.setEncoding('utf8');
  stdin.resume();
  return new Promise((resolve) => {
    let typed = '';
    const onData = (text: string): void => {
      for (const char of text) {
        if (char === '\r' || char === '\n' || char === '\u0004') {
          stdin.off('data', onData);
          stdin.setRawMode(false);
          stdin.pause();
          process.stderr.write('\n');
          resolve(typed);
          return;
        }
        if (char === '\u0003') {
          stdin.setRawMode(false);
          process.exit(130);
        }
        typed = char === '\u007f' || char === '\b' ? Array.from(typed).slice(0, -1).join('') : typed + char;
      }
    };
    stdin.on('data', onData);
  });
}
