// A network of a `.sr` file, compiled for inference.

import type { Graph } from '../compiler/graph.js';
import { lower } from '../compiler/lower.js';
import { optimize, type PassLog } from '../compiler/passes/pipeline.js';
import { type Summary, summarize } from '../compiler/summary.js';
import { GENERIC, type Target } from '../compiler/target.js';
import { fail, type Source } from '../diagnostics.js';
import type { Plan } from '../runtime/plan.js';
import type { Network } from './networks.js';
import { load, type Program } from './program.js';

export interface CompileOptions {
  /** Overrides of the generator's parameters and of top-level `let`s: `{ blocks: 6 }`. */
  readonly set?: Readonly<Record<string, number>>;
  /** Name of the network to compile; by default the file's first generator, else its first network. */
  readonly network?: string;
}

/** A network of a `.sr` file, checked and optimized, still independent of any device. */
export interface Compiled {
  readonly program: Program;
  readonly network: Network;
  /** Parameters, multiply-accumulates and receptive radius, as the network is written. */
  readonly summary: Summary;
  /** Fused, as the kernels run it. */
  readonly graph: Graph;
  /** What each pass did. */
  readonly log: readonly PassLog[];
}

/**
 * Compiles a network of a `.sr` file for inference. Throws `UserError` with every mistake of the text, each with its
 * place. `source` is the text itself, or the text with the name to report it under.
 */
export function compile(source: string | Source, { set, network: wanted }: CompileOptions = {}): Compiled {
  const named = typeof source === 'string' ? { name: 'network.sr', text: source } : source;
  const program = load(named, set ? { set } : {});
  const network = pickNetwork(program, wanted);
  const { graph, log } = optimize(network.graph);
  return { program, network, summary: summarize(network.graph), graph, log };
}

function pickNetwork({ networks, source }: Program, name?: string): Network {
  const byName = networks.find((network) => network.name === name);
  const first = networks.find(({ role }) => role === 'generator') ?? networks[0];
  const picked = name === undefined ? first : byName;
  if (picked) return picked;
  const names = networks.map((network) => network.name).join(', ');
  return fail(
    name === undefined ? `${source.name}: no network` : `${source.name}: no network named ${name}`,
    {
      help: names
        ? `it has ${names}`
        : 'write a generator: `generator mine : (3, h, w) -> (3, 4*h, 4*w) { … }`',
    },
  );
}

/** The plan of a compiled network: what the runtime executes. Without a device's target it runs on any. */
export function planFor({ graph }: Compiled, target: Target = GENERIC): Plan {
  return lower(graph, target).plan;
}
