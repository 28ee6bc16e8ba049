/** The least and the greatest value that a tensor takes, before the range is made to include 0. */
export interface Range {
  readonly min: number;
  readonly max: number;
}
