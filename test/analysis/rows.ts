import { PARTS, type SampleRow } from '../../analysis/columns.js';
import { sampleRow } from '../../services/orchestrator/results/row.js';

/** A whole row of a sample that succeeded, with some cells set. */
export function okRow(cells: SampleRow = {}): SampleRow {
  const strategy = { id: 's', workload: 'w', recipe: 'r', placement: 'edge', session: 'warm' };
  const hop = { tier: 'mobile', stage: 0, ranStage: false, upMs: 0, downMs: 0, upBytes: 0, downBytes: 0 };
  const times = {
    deserialiseMs: 0.1,
    serialiseMs: 0.2,
    preprocessMs: 0,
    queueMs: 0,
    loadMs: 0,
    computeMs: 0,
    decodeMs: 0,
    encodeMs: 0,
    handoverMs: 0,
    failoverMs: 0,
    attempts: 0,
    fellBack: false,
    exited: false,
  };
  const answer = {
    endToEndMs: 10,
    hops: [
      { ...hop, ...times },
      {
        ...hop,
        ...times,
        tier: 'edge',
        ranStage: true,
        upMs: 5,
        downMs: 1,
        upBytes: 1000,
        downBytes: 40,
        computeMs: 3,
      },
    ],
    postprocessMs: 0.05,
    prediction: 'cat',
    outputSha256: 'ab',
    startedAtUnixMs: 1000.5,
  };
  const identity = { sample: 1, round: 1, block: 1, item: 'a', label: 'cat', strategy, payload: 'encoded' };
  return { ...sampleRow(identity, answer), ...cells };
}

/** The sum of a row's parts, in whole ns. */
export function sumOfPartsNs(row: SampleRow): number {
  return PARTS.reduce((sum, part) => sum + Math.round((row[`${part}Ms`] as number) * 1e6), 0);
}
