// Trains points for long, with a checkpoint behind every step, and says each step: to be killed. Its argument is the folder.
import { silent } from '../../../base/progress.js';
import { train } from '../../../operators/train/train.js';
import { longRequest } from './long-request.js';

const [, , folder = ''] = process.argv;
await train(
  await longRequest(folder, {
    checkpointSeconds: 0,
    progress: { ...silent, update: (done) => process.stdout.write(`${done}\n`) },
  }),
);
