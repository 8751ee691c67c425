// The process of one system: `node worker.js PEER` opens the peer when it is told the job, then answers calls one by one.

import { Missing, type OpenPeer, type Peer } from './peer.js';
import type { Answer, Call, Opened } from './system.js';

const [, , name] = process.argv;
const { open } = (await import(`./peers/${name}.js`)) as { open: OpenPeer };
let peer: Peer | undefined;

process.on('disconnect', () => process.exit()); // the parent has ended
process.on('message', async (call: Call) => {
  const answer = await answerTo(call).then(
    (value): Answer => ({ value }),
    (error): Answer => ({
      error: String(error?.message ?? error),
      missing: error instanceof Missing ? error.what : undefined,
    }),
  );
  process.send!(answer);
});

async function answerTo(call: Call) {
  if (call.do === 'open') {
    peer = await open(call.job, call.options);
    const { version, device } = peer;
    return { ...(version && { version }), ...(device && { device }) } satisfies Opened;
  }
  if (!peer) throw new Error(`${name} is not open`);
  if (call.do === 'run') return peer.run();
  if (call.do === 'output') return peer.output?.();
  return peer.peakMemory?.() ?? process.resourceUsage().maxRSS * 1024;
}
