import type { Applied } from '../operators/apply-recipe.js';
import type { Manifest, ManifestAccuracy, ManifestScore, ManifestTotals } from '../operators/manifest.js';
import { table } from './table.js';
import { formatBytes, formatCount } from './units.js';

/** What a recipe made, for people. */
export function appliedReport(made: readonly Applied[]): string {
  return made.map(({ folder, manifest }) => oneReport(folder, manifest)).join('\n');
}

function oneReport(folder: string, manifest: Manifest): string {
  const { accuracy, input, stages, output, recipe, cost } = manifest;
  const models = table(
    ['', 'size', 'parameters', 'macs', ...(accuracy ? [accuracy.metric, 'items'] : [])],
    [
      row('before', input, accuracy, accuracy?.before),
      row('after', output, accuracy, accuracy?.after),
      ...(stages.length > 1 ? stages.map((stage) => row(`  ${stage.files[0]?.name}`, stage, accuracy, undefined)) : []),
    ],
  );
  const steps = table(
    ['step', 'options', 'took', 'cached'],
    recipe.map(({ operator, options, tookMs, cached }) => {
      return [operator, shortened(options), formatMs(tookMs), cached ? 'yes' : 'no'];
    }),
  );
  const lines = [
    ...recipe.flatMap(stepLines),
    ...(accuracy?.drop == null ? [] : [dropLine(accuracy)]),
    ...unreadableLines(accuracy),
    `${folder}: made in ${formatMs(cost.wallMs)} (building ${formatMs(cost.buildMs)}, evaluating ${formatMs(cost.evaluateMs)}), with ${formatBytes(cost.peakMemoryBytes)} of memory at most.`,
  ];
  return `${manifest.name}\n${models}${recipe.length > 0 ? steps : ''}${lines.join('\n')}\n`;
}

/** What a step has to say in words, and what it warns of. */
function stepLines({ operator, facts }: Manifest['recipe'][number]): string[] {
  const { reached, says, warnings } = facts as { reached?: unknown; says?: unknown; warnings?: unknown };
  const sparsity = typeof reached === 'number' ? `sparsity ${reached.toFixed(3)}; ` : '';
  const texts = Array.isArray(warnings) ? warnings.map((warning) => `warning: ${warning}`) : [];
  return [...(typeof says === 'string' ? [sparsity + says] : []), ...texts].map((text) => `${operator}: ${text}`);
}

function row(
  name: string,
  { bytes, parameters, macs }: ManifestTotals,
  accuracy: ManifestAccuracy | null,
  score: ManifestScore | undefined,
): string[] {
  const figures = [name, formatBytes(bytes), formatCount(parameters), macs === null ? '?' : formatCount(macs)];
  if (!accuracy) return figures;
  return [...figures, score ? formatValue(score.value, accuracy.unit) : '', score ? String(score.n) : ''];
}

function formatValue(value: number | null, unit: ManifestAccuracy['unit']): string {
  if (value === null) return '-';
  return unit === 'fraction' ? `${(100 * value).toFixed(1)} %` : value.toPrecision(4);
}

function dropLine({ metric, unit, drop, after }: ManifestAccuracy): string {
  const size = Math.abs(drop as number).toFixed(2);
  const by = unit === 'fraction' ? `${size} points` : `${size} %`;
  const what = drop === 0 ? 'as before' : `${by} ${(drop as number) > 0 ? 'worse' : 'better'} than before`;
  const exits = after.exits.map((n, i) => `${n} of ${after.n} answers left at stage ${i}`).join(', ');
  return `${metric}: ${what}${exits ? `; ${exits}` : ''}`;
}

/** Names shown here; the manifest has them all. */
const SHOWN = 5;

function unreadableLines(accuracy: ManifestAccuracy | null): string[] {
  const { unreadable = [] } = accuracy?.after ?? {};
  if (unreadable.length === 0) return [];
  const more = unreadable.length > SHOWN ? ` and ${unreadable.length - SHOWN} more` : '';
  const names = unreadable.slice(0, SHOWN).map(({ id }) => id);
  const what =
    unreadable.length === 1
      ? '1 item could not be read and does'
      : `${unreadable.length} items could not be read and do`;
  return [`${what} not count: ${names.join(', ')}${more}`];
}

function shortened(options: object): string {
  const text = Object.entries(options)
    .map(([key, value]) => `${key}: ${JSON.stringify(value)}`)
    .join(', ');
  return text.length > 60 ? `${text.slice(0, 59)}…` : text;
}

function formatMs(ms: number): string {
  return ms < 1000 ? `${ms.toFixed(0)} ms` : `${(ms / 1000).toFixed(1)} s`;
}
