// Leaves two channels open, one after a call and one that was only connected: nothing else could keep this process alive.
import { connect, InferenceClient } from '../../../services/rpc/client.js';

const address = process.argv[2] as string;
if (!(await new InferenceClient(connect(address)).live())) throw new Error('not live');
await connect(address).waitForReady(5000);
process.disconnect();
