// Makes a call and leaves its channel open: nothing but the channel could keep this process alive.
import { connect, InferenceClient } from '../../../services/rpc/client.js';

const address = process.argv[2] as string;
if (!(await new InferenceClient(connect(address)).live())) throw new Error('not live');
process.disconnect();
