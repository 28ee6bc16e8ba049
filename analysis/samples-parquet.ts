import { rename, rm } from 'node:fs/promises';
import { type BasicType, fileWriter, parquetWriteRows } from 'hyparquet-writer';
import { COLUMNS, type ColumnType, type SampleRow } from './columns.js';

const PARQUET_TYPES: Readonly<Record<ColumnType, BasicType>> = {
  text: 'STRING',
  integer: 'INT32',
  number: 'DOUBLE',
  boolean: 'BOOLEAN',
};

/** Rows of one row group: what is in memory at a time. */
const ROW_GROUP_ROWS = 10_000;

/** Writes rows as a Parquet file, one row group in memory at a time; an unfinished file never has the final name. */
export async function writeSamplesParquet(
  path: string,
  rows: AsyncIterable<SampleRow>,
  metadata: Readonly<Record<string, string>> = {},
): Promise<void> {
  const unfinished = `${path}.part`;
  try {
    await parquetWriteRows({
      writer: fileWriter(unfinished),
      rows,
      columns: COLUMNS.map(({ name, type }) => ({ name, type: PARQUET_TYPES[type], nullable: true })),
      rowGroupSize: ROW_GROUP_ROWS,
      kvMetadata: Object.entries(metadata).map(([key, value]) => ({ key, value })),
      createdBy: 'tierbed',
    });
    await rename(unfinished, path);
  } finally {
    await rm(unfinished, { force: true });
  }
}
