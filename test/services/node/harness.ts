import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { type NodeOptions, type RunningNode, startNode } from '../../../services/node/node.js';
import { connect, InferenceClient, NodeClient } from '../../../services/rpc/client.js';
import type { DeployRequest, DeployResponse } from '../../../services/rpc/node-control.js';

/** A node with clients of both its planes; all of it goes with the test. */
export interface TestNode {
  readonly node: RunningNode;
  readonly data: InferenceClient;
  readonly control: NodeClient;
  /** Sends files and gives their hashes. */
  put(content: Uint8Array): Promise<string>;
  /** Sends a model and deploys it, warm with optimisation unless told otherwise. */
  deploy(name: string, model: Uint8Array | undefined, request?: Partial<DeployRequest>): Promise<DeployResponse>;
}

export async function temporaryFolder(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'tierbed-node-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

export async function testNode(t: TestContext, options: Partial<NodeOptions> = {}): Promise<TestNode> {
  const node = await startNode({
    tier: 'edge',
    dataPort: 0,
    metricsPort: 0,
    controlPort: 0,
    threads: 1,
    ...options,
    ...(!options.store && { storeDir: options.storeDir ?? (await temporaryFolder(t)) }),
  });
  t.after(() => node.close(0));
  return clientsOf(t, node);
}

/** Clients of a node that runs here or elsewhere. */
export function clientsOf<N extends Pick<RunningNode, 'dataAddress' | 'controlAddress'>>(
  t: TestContext,
  node: N,
): Omit<TestNode, 'node'> & { readonly node: N } {
  const dataChannel = connect(node.dataAddress);
  const controlChannel = connect(node.controlAddress);
  t.after(() => {
    dataChannel.close();
    controlChannel.close();
  });
  const control = new NodeClient(controlChannel);
  const put = async (content: Uint8Array): Promise<string> => {
    const hash = sha256(content);
    await control.putFile(content, hash);
    return hash;
  };
  return {
    node,
    data: new InferenceClient(dataChannel),
    control,
    put,
    deploy: async (name, model, request = {}) =>
      control.deploy({
        name,
        files: model ? [{ path: 'model.onnx', sha256: await put(model) }] : [],
        sessionMode: 'WARM',
        graphOptimization: true,
        ...request,
      }),
  };
}

export function sha256(content: Uint8Array): string {
  return createHash('sha256').update(content).digest('hex');
}
