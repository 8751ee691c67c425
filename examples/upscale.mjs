// node examples/upscale.mjs WEIGHTS PHOTO.png LARGE.png: the library in a dozen lines.
import { readFile, writeFile } from 'node:fs/promises';
import { compile, open, readWeights } from 'src';
import { decodeImage, encodeImage, fromPlanes, openDevice, toPlanes } from 'src/node';

const [weightFile, photo, large] = process.argv.slice(2);
const device = await openDevice();
const network = compile(await readFile('graphs/esrgan-anime.sr', 'utf8'));
const weights = await readWeights(weightFile, await readFile(weightFile), (sibling) => readFile(sibling));
const upscaler = await open(device.gpu, network, { weights });
const image = await decodeImage(photo, await readFile(photo));
const rgb = { channels: 3, ...(await upscaler.run(toPlanes(image).rgb)) };
await writeFile(large, await encodeImage(fromPlanes({ rgb }, image), 'png'));
await device.close();
