// The folder of a training, `runs/x`, as the trainer's recorder. What is written replaces nothing that is still needed:
// the disk may be full or the power fail at any point, and the same command goes on from the newest checkpoint.
//
//   lock                           who trains here
//   network.sr, run.json           what is trained, and by which commands on which devices
//   metrics.jsonl                  see train/metrics.ts
//   tensorboard/<stage>/           the same for TensorBoard; stages are runs there, for each counts its steps from 0
//   checkpoints/<stage>-<step>.safetensors
//   weights/<stage>.safetensors    what `src run --weights` takes
//   samples/<stage>-<step>.png     bicubic | ours | original

import { appendFile, readdir, rm } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { fail, internal, type Source, UserError } from '../diagnostics.js';
import type { Image } from '../formats/image.js';
import { writeSafetensors } from '../formats/safetensors.js';
import { parseObject } from '../formats/values.js';
import type { WeightTensor } from '../formats/weights.js';
import { type Checkpoint, decodeCheckpoint, encodeCheckpoint, type Settings } from '../train/checkpoint.js';
import { openEvents, pictureEvent, scalarEvent } from '../train/events.js';
import { cutMetrics, type MetricsLine, printMetrics, scalarsOf } from '../train/metrics.js';
import type { Moment, Recorder } from '../train/record.js';
import type { TrainingState } from '../train/state.js';
import { failIo, prepareOutput, readBytes, statOf, writeAtomic } from './files.js';
import { encodePng } from './images/png.js';
import { lockFolder } from './run-folder-lock.js';

export interface RunFolderOptions {
  /** In the order in which they are trained. The checkpoint of a stage's last step is kept for good. */
  readonly stages: readonly { readonly name: string; readonly steps: number }[];
  /** How many of the other checkpoints are kept. */
  readonly keep?: number;
  /** For people: locks taken over, checkpoints left out. */
  say(line: string): void;
}

/** What a run is, for whoever finds the folder later. */
export interface Session {
  readonly source: Source;
  readonly command: readonly string[];
  readonly device: string;
  readonly versions: Readonly<Record<string, string>>;
  /** Of the checkpoints from now on. */
  readonly settings: Settings;
  /** The stage that is trained, and how many of its steps are done: what was recorded of later ones is dropped. */
  readonly at: Moment;
}

export class RunFolder implements Recorder {
  readonly path: string;
  readonly #options: RunFolderOptions;
  readonly #unlock: () => Promise<void>;
  readonly #events = new Map<string, string>();
  #session: Session | undefined;

  private constructor(path: string, options: RunFolderOptions, unlock: () => Promise<void>) {
    this.path = path;
    this.#options = options;
    this.#unlock = unlock;
  }

  /** Makes the folder where there is none. Fails when it cannot be written or another process trains there. */
  static async open(path: string, options: RunFolderOptions): Promise<RunFolder> {
    const found = await statOf(path);
    if (found && !found.isDirectory()) {
      fail(`${path}: this is a file, not the folder of a training`, {
        help: 'choose another name, such as runs/x',
      });
    }
    await prepareOutput(join(path, 'run.json'));
    const unlock = await lockFolder(path, options.say);
    return new RunFolder(path, options, unlock);
  }

  /** The newest checkpoint, or that of a stage, that is as it was written. Says which ones are not. */
  async newest(stage?: string): Promise<Checkpoint | undefined> {
    const found = (await this.#checkpoints()).filter((one) => stage === undefined || one.stage === stage);
    for (const [i, { path }] of found.entries()) {
      const checkpoint = await decodeCheckpoint(path, new Uint8Array(await readBytes(path)));
      if (!checkpoint) continue;
      for (const damaged of found.slice(0, i))
        this.#options.say(`${damaged.path}: this checkpoint is damaged; ${path} is used instead`);
      return checkpoint;
    }
    if (found.length === 0) return undefined;
    return fail(`${this.path}: no checkpoint can be used: ${found.length} of ${found.length} are damaged`, {
      notes: found.map(({ path }) => path),
      help: 'restore one of them, or train in a new folder',
    });
  }

  /** To be called before anything of a stage is recorded. */
  async begin(session: Session): Promise<void> {
    this.#session = session;
    for (const folder of ['', 'checkpoints', 'weights', 'samples'])
      await clearTemporaries(join(this.path, folder));
    const { source, at, ...rest } = session;
    await this.#write('network.sr', source.text);
    const sessions = [...(await this.#sessions()), { started: new Date().toISOString(), at, ...rest }];
    await this.#write('run.json', `${JSON.stringify({ sessions }, undefined, 2)}\n`);
    const metrics = (await this.#text('metrics.jsonl')) ?? '';
    await this.#write('metrics.jsonl', cutMetrics(metrics, at.stage, at.step));
  }

  async metrics(line: MetricsLine): Promise<void> {
    await this.#append('metrics.jsonl', printMetrics(line));
    await this.#append(await this.#eventFile(line.stage), scalarEvent(line, scalarsOf(line)));
  }

  async checkpoint(state: TrainingState): Promise<void> {
    const { stage, step } = state;
    const bytes = await encodeCheckpoint({ state, settings: this.#begun().settings });
    try {
      await this.#write(`checkpoints/${stage}-${step}.safetensors`, bytes);
    } catch (error) {
      throw error instanceof UserError ? await this.#withNewest(error) : error;
    }
    const { stages, keep = 3 } = this.#options;
    const isLast = (one: Moment) =>
      stages.some(({ name, steps }) => name === one.stage && steps === one.step);
    const passing = (await this.#checkpoints()).filter((one) => one.stage === stage && !isLast(one));
    for (const { path } of passing.slice(keep)) await remove(path);
  }

  async weights({ stage, step }: Moment, tensors: ReadonlyMap<string, WeightTensor>): Promise<void> {
    await this.#write(weightsFile(stage), writeSafetensors(tensors, { stage, step: String(step) }));
  }

  /** Beside the weights of the stages that it mixes; `what` says how. */
  async blend(name: string, what: string, tensors: ReadonlyMap<string, WeightTensor>): Promise<void> {
    await this.#write(weightsFile(name), writeSafetensors(tensors, { blend: what }));
  }

  /** Where the weights of a stage or a blend are. */
  weightsPath(name: string): string {
    return join(this.path, weightsFile(name));
  }

  async sample({ stage, step }: Moment, image: Image): Promise<void> {
    const png = encodePng(image);
    await this.#write(`samples/${stage}-${step}.png`, png);
    const picture = pictureEvent({ step, time: Date.now() / 1000 }, 'samples', { ...image, png });
    await this.#append(await this.#eventFile(stage), picture);
  }

  close(): Promise<void> {
    return this.#unlock();
  }

  /** Newest first. */
  async #checkpoints(): Promise<(Moment & { readonly path: string })[]> {
    const folder = join(this.path, 'checkpoints');
    const order = this.#options.stages.map(({ name }) => name);
    return (await filesOf(folder))
      .flatMap((file) => {
        const [, stage, step] = /^(.+)-(\d+)\.safetensors$/.exec(file) ?? [];
        return stage && step ? [{ stage, step: Number(step), path: join(folder, file) }] : [];
      })
      .sort((a, b) => order.indexOf(b.stage) - order.indexOf(a.stage) || b.step - a.step);
  }

  async #withNewest(error: UserError): Promise<UserError> {
    const [newest] = await this.#checkpoints();
    const note = newest
      ? `${newest.path} is whole: the same command goes on from there`
      : 'there is no earlier checkpoint';
    return new UserError(error.diagnostics.map((one) => ({ ...one, notes: [...(one.notes ?? []), note] })));
  }

  async #eventFile(stage: string): Promise<string> {
    const known = this.#events.get(stage);
    if (known) return known;
    const time = Date.now() / 1000;
    const name = `events.out.tfevents.${Math.floor(time)}.${hostname()}.${process.pid}`;
    const file = join('tensorboard', stage, name);
    this.#events.set(stage, file);
    await prepareOutput(join(this.path, file));
    await this.#append(file, openEvents({ time, step: this.#begun().at.step }));
    return file;
  }

  /** The earlier ones. A record that is damaged stops no training: it is set aside. */
  async #sessions(): Promise<readonly unknown[]> {
    const text = await this.#text('run.json');
    if (text === undefined) return [];
    try {
      const { sessions } = parseObject(join(this.path, 'run.json'), 'it', text);
      if (Array.isArray(sessions)) return sessions;
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
    }
    await this.#write('run.json.damaged', text);
    return [];
  }

  async #text(file: string): Promise<string | undefined> {
    const path = join(this.path, file);
    return (await statOf(path)) ? new TextDecoder().decode(await readBytes(path)) : undefined;
  }

  async #write(file: string, content: string | Uint8Array): Promise<void> {
    const path = join(this.path, file);
    await prepareOutput(path);
    await writeAtomic(path, typeof content === 'string' ? new TextEncoder().encode(content) : content);
  }

  async #append(file: string, content: string | Uint8Array): Promise<void> {
    const path = join(this.path, file);
    await appendFile(path, content).catch((error) => failIo(path, 'written', error));
  }

  #begun(): Session {
    return this.#session ?? internal('a run records before it has begun');
  }
}

function weightsFile(name: string): string {
  return `weights/${name}.safetensors`;
}

/** `runs/x` -> `runs/x/weights/gan.safetensors`; undefined for what is not the folder of a run that has some. */
export async function newestWeights(folder: string): Promise<string | undefined> {
  const weights = join(folder, 'weights');
  const files = (await filesOf(weights)).filter((file) => file.endsWith('.safetensors'));
  const found = await Promise.all(
    files.map(async (file) => ({ file, written: (await statOf(join(weights, file)))?.mtimeMs ?? 0 })),
  );
  const newest = found.sort((a, b) => b.written - a.written)[0];
  return newest && join(weights, newest.file);
}

/** What a killed process was writing. */
async function clearTemporaries(folder: string): Promise<void> {
  for (const file of await filesOf(folder))
    if (/^\.src-.*\.tmp$/.test(file)) await remove(join(folder, file));
}

/** None when there is no such folder. */
async function filesOf(folder: string): Promise<string[]> {
  if (!(await statOf(folder))) return [];
  return readdir(folder).catch((error) => failIo(folder, 'read', error));
}

async function remove(path: string): Promise<void> {
  await rm(path, { force: true }).catch((error) => failIo(path, 'written', error));
}
