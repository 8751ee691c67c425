// `src doctor`: what this machine offers for running networks, what is slow about it, and what to do.

import { Command } from 'commander';
import type { Io } from '../io.js';

export function doctorCommand(_io: Io): Command {
  return new Command('doctor').description('say what this machine offers for running networks');
}
