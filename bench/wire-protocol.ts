/** The ways to send a tensor that are compared. */
export const CONTENDERS = ['raw', 'tierbed', 'stock'] as const;
export type Contender = (typeof CONTENDERS)[number];

export type Addresses = Readonly<Record<Contender, string>>;

/** What the bench asks of the sending process; each question is answered with one message. */
export type Question =
  | { readonly kind: 'open'; readonly addresses: Addresses }
  /** Sends a tensor of `bytes` and gives the ms until the short answer is there. */
  | { readonly kind: 'send'; readonly contender: Contender; readonly bytes: number }
  | { readonly kind: 'close' };

/** The raw protocol: 8 bytes of length, little-endian, then as many bytes; answered with ANSWER_BYTES when all are there. */
export const RAW_HEADER_BYTES = 8;
export const RAW_ANSWER_BYTES = 64;
