import { GraphBuilder } from '../../../onnx/build.js';
import type { Model } from '../../../onnx/model.js';
import type { Examined, Findings } from '../../../operators/explain/examined.js';
import type { NodeWork } from '../../../operators/explain/node-work.js';

/** A node of a profile that nobody ran. */
export function work(name: string, kernel: string, ms: number, more: Partial<NodeWork> = {}): NodeWork {
  return {
    ...{ name, kernel, ms, provider: 'CPUExecutionProvider', waitMs: 0, reads: [], writes: [], node: undefined },
    ...{ precision: 'float', macs: 0, bytes: 0 },
    ...more,
  };
}

export function emptyModel(): Model {
  const g = new GraphBuilder({ name: 'empty' });
  g.output(g.node('Identity', [g.input('x', 'float32', [1])], {}, 'y'), 'float32');
  return g.build();
}

/** A model of these nodes, as if it had been measured. */
export function examined(nodes: readonly NodeWork[], more: Partial<Examined> & { optimized?: Model } = {}): Examined {
  const { optimized = emptyModel(), ...rest } = more;
  const nodesMs = nodes.reduce((sum, { ms }) => sum + ms, 0);
  return {
    ...{ path: 'model.onnx', model: emptyModel(), work: nodes, runMs: nodesMs, oneThreadMs: undefined },
    profile: {
      ...{
        nodes,
        kernels: [],
        nodesMs,
        runMs: more.runMs ?? nodesMs,
        profiledRunMs: nodesMs,
        busyMs: nodesMs,
        runs: 1,
        threads: 1,
      },
      optimized,
    },
    ...rest,
  };
}

export function findings(variant: Examined, original?: Examined, more: Partial<Findings> = {}): Findings {
  return {
    ...{ variant, original, threads: 1, copiedPerMs: 1e6 },
    cpu: { name: 'a processor', arch: 'x64', dotProducts: ['avx512_vnni'] },
    ...more,
  };
}
