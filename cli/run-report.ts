import type { Summary } from '../analysis/summary.js';

/** A run for people: the table, what it says, and where the rest is. */
export async function runReport(summary: Summary, folder: string): Promise<string> {
  const { summaryTable, summaryWords } = await import('../analysis/report-table.js');
  return [
    summaryTable(summary),
    '',
    ...summaryWords(summary),
    ...summary.notes.map((note) => `Note: ${note}.`),
    '',
    `Results: ${folder} (summary.json, samples.csv, samples.parquet; docs/results.md explains them)`,
    '',
  ].join('\n');
}
