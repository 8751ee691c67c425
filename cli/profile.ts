// What is left of a recording: its figures, and the trace as a file.

import { fail } from '../diagnostics.js';
import type { DeviceNetwork, Executor } from '../index.js';
import {
  type Ceilings,
  type Profile,
  type ProfileOptions,
  profileOf,
  type Recording,
} from '../runtime/profile.js';
import { traceOf } from '../runtime/profile-trace.js';
import { prepareOutput, withoutExtension, writeAtomic } from './files.js';
import type { ProfileFile } from './options.js';

/** What is reported of a profile. */
export interface Profiled {
  /** `esrgan on 120x80 pixels`, `steps 3 to 12 of psnr` */
  readonly of: string;
  readonly profile: Profile;
  /** Where the trace is. */
  readonly trace: string;
}

/** Where the trace of an image goes; made sure before anything is computed. */
export async function traceBeside(file: ProfileFile, output: string): Promise<string> {
  if (file === true && output === '-') {
    fail('--profile: a result on standard output has no name that the trace could take', {
      help: 'name the trace: --profile trace.json',
    });
  }
  const trace = file === true ? `${withoutExtension(output)}.trace.json` : file;
  await prepareOutput(trace);
  return trace;
}

/** Writes the trace. */
export async function keepProfile(
  of: string,
  trace: string,
  recording: Recording,
  options: ProfileOptions,
): Promise<Profiled> {
  const text = JSON.stringify(traceOf(recording, options));
  await writeAtomic(trace, new TextEncoder().encode(text));
  return { of, profile: profileOf(recording, options), trace };
}

/** `network`, whose first image is profiled. */
export function profileFirst(
  name: string,
  network: DeviceNetwork,
  trace: string,
  ceilings: Ceilings,
  report: (profiled: Profiled) => void,
): Pick<Executor, 'run'> {
  let isFirst = true;
  return {
    async run(image, options) {
      if (!isFirst) return network.run(image, options);
      isFirst = false;
      const { result, recording } = await network.record(image, options);
      const of = `${name} on ${image.width}x${image.height} pixels`;
      report(await keepProfile(of, trace, recording, { ceilings, runs: 1 }));
      return result;
    },
  };
}
