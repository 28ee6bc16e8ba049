import Table from 'cli-table3';
import type { Part } from './columns.js';
import type { FaultSummary } from './fault-summary.js';
import type { StrategySummary, Summary } from './summary.js';

/** Parts by where the time went, as the table's columns show it. */
const GROUPS: Readonly<Record<'load' | 'compute' | 'link' | 'other', readonly Part[]>> = {
  load: ['load'],
  compute: ['compute'],
  link: ['hop1Up', 'hop1Down', 'hop2Up', 'hop2Down'],
  other: [
    ...(['preprocess', 'queue', 'decode', 'encode', 'serialise', 'deserialise'] as const),
    ...(['handover', 'failover', 'postprocess', 'other'] as const),
  ],
};

/** One row a strategy: fastest first within each workload and session mode, the fastest of each marked. */
export function summaryTable(summary: Summary): string {
  const ordered = summary.strategies.toSorted(byWorkloadSessionLatency);
  const fastest = new Set(summary.validity.valid ? groupsOf(ordered).map(([first]) => first?.id) : []);
  const severalWorkloads = new Set(ordered.map((s) => s.workload)).size > 1;
  const metrics = [...new Set(ordered.map((s) => s.accuracy.metric))];
  const table = new Table({
    head: [
      ...(severalWorkloads ? ['workload'] : []),
      ...['session', 'placement', 'recipe', 'n', 'failed', 'p50 ms', 'p90 ms', 'p99 ms'],
      ...['load', 'compute', 'link', 'other', metrics.length === 1 ? (metrics[0] as string) : 'accuracy'],
    ],
    style: { head: [], border: [], compact: true },
    colAligns: [
      ...Array.from({ length: severalWorkloads ? 4 : 3 }, () => 'left' as const),
      ...Array.from({ length: 10 }, () => 'right' as const),
    ],
  });
  for (const s of ordered) {
    const failedAll = s.n === 0;
    table.push([
      ...(severalWorkloads ? [s.workload] : []),
      s.session,
      fastest.has(s.id) && !failedAll ? `${s.placement} *` : s.placement,
      s.recipe,
      String(s.n),
      String(s.failed),
      ...[s.latencyMs.p50, s.latencyMs.p90, s.latencyMs.p99].map(formatMs),
      ...Object.values(GROUPS).map((parts) => formatMs(meanOf(s, parts))),
      formatAccuracy(s.accuracy, metrics.length > 1),
    ]);
  }
  const star = summary.validity.valid ? '* the fastest in the median. ' : 'INVALID: not to be used. ';
  return `${table}\n${star}load, compute, link and other (decoding, queues, messages...) are mean ms: the mean latency`;
}

/** What the table says, in a few plain sentences. */
export function summaryWords(summary: Summary): string[] {
  const groups = groupsOf(summary.strategies.filter((s) => s.n > 0).toSorted(byWorkloadSessionLatency));
  const { valid } = summary.validity;
  const words = valid ? groups.map(fastestInWords) : invalidInWords(summary);
  const cold = groups.find(([first]) => first?.session === 'cold');
  if (cold && valid) words.push(loadInWords(cold));
  if (valid) words.push(...groups.flat().flatMap(exitsInWords));
  words.push(...summary.faults.map(faultInWords));
  const { planned, recorded, failed, underFault } = summary.samples;
  words.push(...unreadableInWords(summary));
  if (underFault > 0) {
    words.push(`${underFault} of ${recorded} samples ran while a fault was in force; the table is of the others.`);
  }
  if (failed > 0) words.push(`${failed} of ${recorded} samples failed; samples.csv has the reason of each.`);
  if (recorded < planned) words.push(`${recorded} of the plan's ${planned} samples are recorded.`);
  return words;
}

/** An invalid study says so, why and what to do, and nothing that could be taken for a result. */
function invalidInWords({ validity }: Summary): string[] {
  return [
    'INVALID: the figures of this study cannot be trusted, and no strategy can be named the fastest by them.',
    ...validity.reasons.flatMap(({ code, message, fix }) => [`  INVALID (${code}): ${message}.`, `    ${fix}`]),
  ];
}

/** One sentence a workload: how many, and the first by name. */
function unreadableInWords({ unreadable }: Summary): string[] {
  return [...new Set(unreadable.map(({ workload }) => workload))].map((name) => {
    const mine = unreadable.filter(({ workload }) => workload === name);
    const [first] = mine as [(typeof mine)[number]];
    const many =
      mine.length > 1 ? `${mine.length} items of ${name} cannot be read` : `One item of ${name} cannot be read`;
    const others = mine.length > 1 ? '; summary.json names the others' : '';
    return `${many} and ${mine.length > 1 ? 'are' : 'is'} in no figure: ${first.item} (${first.reason})${others}.`;
  });
}

function faultInWords(fault: FaultSummary): string {
  const { name, atS, lastedS, samples, failed, retried, fellBack, wrong, impossible, p50Ms } = fault;
  const counts = Object.entries({ failed, retried, 'fell back': fellBack, wrong, impossible })
    .filter(([, count]) => count > 0)
    .map(([what, count]) => `${count} ${what}`);
  const lasted = lastedS === null ? '' : ` for ${lastedS.toFixed(1)} s`;
  const latency = p50Ms === null ? 'none answered' : `${formatMs(p50Ms)} ms in the median`;
  const details = samples > 0 ? `: ${[...counts, latency].join(', ')}` : '';
  return `At ${atS.toFixed(1)} s ${name}${lasted}: ${samples} samples${details}.`;
}

function fastestInWords(group: readonly StrategySummary[]): string {
  const [first, next] = group as [StrategySummary, StrategySummary | undefined];
  const p50 = first.latencyMs.p50 as number;
  const ci = first.latencyMs.ci95;
  const where = `${capital(first.session)}, ${first.workload} is fastest on ${describe(first)}`;
  const figure = `${formatMs(p50)} ms in the median${ci ? ` (95 % interval ${formatMs(ci[0])} to ${formatMs(ci[1])})` : ''}`;
  if (!next) return `${where}: ${figure}.`;
  const nextP50 = next.latencyMs.p50 as number;
  const nextCi = next.latencyMs.ci95;
  const close = !ci || !nextCi || nextCi[0] <= ci[1];
  const than = close
    ? `the next, ${describe(next)} at ${formatMs(nextP50)} ms, is not clearly slower`
    : `the next, ${describe(next)}, takes ${(nextP50 / p50).toFixed(2)} times as long`;
  return `${where}: ${figure}; ${than}.`;
}

/** Where the samples of a strategy with early exits were answered, how soon, and how well. */
function exitsInWords(s: StrategySummary): string[] {
  if (!s.byExit) return [];
  const places = s.byExit
    .filter(({ n }) => n > 0)
    .map(({ stage, share, p50Ms, accuracy }) => {
      const where = stage === null ? 'through all stages' : `at the exit of stage ${stage}`;
      const worth = accuracy === null ? '' : `, ${formatAccuracy({ ...s.accuracy, value: accuracy }, true)}`;
      return `${formatShare(share)} ${where} (${formatMs(p50Ms)} ms${worth})`;
    });
  return [`${capital(s.session)}, ${s.workload} on ${describe(s)} was answered: ${places.join('; ')}.`];
}

function loadInWords(cold: readonly StrategySummary[]): string {
  const shares = cold.map((s) => meanOf(s, GROUPS.load) / (s.latencyMs.mean as number)).sort((a, b) => a - b);
  const [low, high] = [shares[0] as number, shares.at(-1) as number];
  const share =
    formatShare(low) === formatShare(high) ? formatShare(low) : `${formatShare(low)} to ${formatShare(high)}`;
  return `In cold sessions, loading the model is ${share} of the latency, depending on the strategy.`;
}

function describe(s: StrategySummary): string {
  return `${s.placement} (${s.recipe})`;
}

/** Strategies that compete: those of one workload and one session mode. */
function groupsOf(ordered: readonly StrategySummary[]): StrategySummary[][] {
  const groups = new Map<string, StrategySummary[]>();
  for (const s of ordered) {
    const key = `${s.workload}\n${s.session}`;
    groups.set(key, [...(groups.get(key) ?? []), s]);
  }
  return [...groups.values()];
}

function byWorkloadSessionLatency(a: StrategySummary, b: StrategySummary): number {
  const p50 = (s: StrategySummary) => s.latencyMs.p50 ?? Number.POSITIVE_INFINITY;
  return (
    compareText(a.workload, b.workload) ||
    compareText(b.session, a.session) ||
    (p50(a) === p50(b) ? compareText(a.id, b.id) : p50(a) - p50(b))
  );
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function meanOf(s: StrategySummary, parts: readonly Part[]): number {
  return parts.reduce((sum, part) => sum + (s.partsMs?.[part] ?? Number.NaN), 0);
}

/** Three significant digits, but never fewer than the whole ms; `-` for nothing. */
export function formatMs(ms: number | null): string {
  if (ms === null || Number.isNaN(ms)) return '-';
  if (Math.abs(ms) >= 100) return ms.toFixed(0);
  return ms.toFixed(Math.abs(ms) >= 10 ? 1 : 2);
}

/** A share as a percentage, another number with four significant digits; with its name where not all have the same. */
function formatAccuracy({ metric, value, unit }: StrategySummary['accuracy'], named: boolean): string {
  if (value === null) return '-';
  const text = unit === 'fraction' ? formatShare(value) : String(Number(value.toPrecision(4)));
  return named ? `${text} ${metric}` : text;
}

function formatShare(share: number | null): string {
  return share === null ? '-' : `${(100 * share).toFixed(1)} %`;
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
