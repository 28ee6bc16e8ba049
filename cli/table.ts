import Table from 'cli-table3';

/** Columns whose cells are numbers are aligned by their ends. */
const NUMBER = /^-?[\d.]+( .+)?$/;

/** A table for people, as the other commands print them. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const made = new Table({
    head: [...head],
    style: { head: [], border: [], compact: true },
    colAligns: head.map((_, i) =>
      rows.length > 0 && rows.every((row) => NUMBER.test(row[i] ?? '')) ? 'right' : 'left',
    ),
  });
  for (const row of rows) made.push([...row]);
  return `${made}\n`;
}
