// The command line as a whole: the commands, and how every end looks. A mistake of the user's is a diagnostic and exit
// code 2, an interruption 130, a bug of ours keeps its stack and is 1.

import { Command, CommanderError } from 'commander';
import { render, toJson, UserError } from '../diagnostics.js';
import { blendCommand } from './commands/blend.js';
import { checkCommand } from './commands/check.js';
import { compileCommand } from './commands/compile.js';
import { convertCommand } from './commands/convert.js';
import { doctorCommand } from './commands/doctor.js';
import { evalCommand } from './commands/eval.js';
import { exportCommand } from './commands/export.js';
import { fetchCommand } from './commands/fetch.js';
import { fmtCommand } from './commands/fmt.js';
import { inspectCommand } from './commands/inspect.js';
import { plotCommand } from './commands/plot.js';
import { prepareCommand } from './commands/prepare.js';
import { runCommand } from './commands/run.js';
import { showCommand } from './commands/show.js';
import { trainCommand } from './commands/train.js';
import { tuneCommand } from './commands/tune.js';
import { type Io, write } from './io.js';
import { packageVersion } from './package.js';

const COMMANDS: readonly ((io: Io) => Command)[] = [
  runCommand,
  compileCommand,
  prepareCommand,
  trainCommand,
  evalCommand,
  plotCommand,
  checkCommand,
  tuneCommand,
  blendCommand,
  convertCommand,
  exportCommand,
  inspectCommand,
  fetchCommand,
  fmtCommand,
  showCommand,
  doctorCommand,
];

const EXAMPLES = `
Examples:
  src run esrgan --weights RealESRGAN_x4plus.pth --input photo.jpg
  src run esrgan --weights RealESRGAN_x4plus.pth --input photos/ --output large/
  src train mine.sr --data photos/ --out runs/mine
  src inspect RealESRGAN_x4plus.pth
  src show rrdb
  src doctor
`;

/** Runs one command line (without node and script); resolves to the exit code, never rejects. */
export async function main(argv: readonly string[], io: Io): Promise<number> {
  try {
    await program(io).parseAsync(argv.length > 0 ? argv : ['--help'], { from: 'user' });
    return 0;
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return 0;
    if (io.signal.aborted) return 130;
    const userError = error instanceof CommanderError ? misuse(error, argv) : error;
    if (userError instanceof UserError) {
      if (argv.includes('--json')) await write(io.stdout, `${JSON.stringify(toJson(userError))}\n`);
      else await write(io.stderr, render(userError));
      return 2;
    }
    await write(io.stderr, renderBug(error));
    return 1;
  }
}

function program(io: Io): Command {
  const root = new Command('src')
    .description('Super-resolution: .sr files compiled to fused WebGPU kernels, run on your images.')
    .version(packageVersion(), '-v, --version')
    .helpCommand(false)
    .addHelpText('after', EXAMPLES)
    .exitOverride()
    .configureOutput({
      writeOut: (text) => io.stdout.write(text),
      writeErr: (text) => io.stderr.write(text),
      outputError: () => {}, // `main` words it
    })
    .configureHelp({ sortOptions: false, showGlobalOptions: false });
  for (const command of COMMANDS) root.addCommand(command(io).copyInheritedSettings(root));
  return root;
}

/** commander's "error: unknown option '--wieghts'\n(Did you mean --weights?)" in our look. */
function misuse({ code, message }: CommanderError, argv: readonly string[]): UserError {
  const [first = '', ...rest] = message.replace(/^error: /, '').split('\n');
  const suggestion = /\((.*)\)/s.exec(rest.join(' '))?.[1];
  const known = argv[0] && !argv[0].startsWith('-') && code !== 'commander.unknownCommand';
  const command = known ? ` ${argv[0]}` : '';
  return new UserError({
    message: first.replace(/\.$/, ''),
    help: suggestion ? suggestion.replace(/^Did/, 'did') : `\`src${command} --help\` lists what there is`,
  });
}

function renderBug(error: unknown): string {
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return `${/^(Error: )?internal: /.test(text) ? text.replace(/^Error: /, '') : `internal: ${text}`}

This is a bug in src, not a mistake of yours. Please report it with the text above and the command you ran.
`;
}
