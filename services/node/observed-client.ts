import { type ErrorKind, TierbedError } from '../../base/errors.js';
import { InferenceClient, type RpcChannel } from '../rpc/client.js';
import type { InferRequest, InferResponse, SentStamp } from '../rpc/codec/messages.js';
import { elapsedNs, nowNs } from './clock.js';

/** Told of what goes to the nodes of the next stages and comes back, when nobody waits for it. */
export interface HopObserver {
  /** A request was handed to the transport. */
  hopSent(bytes: number): void;
  /** A request is through, `ns` after it was made; `receivedBytes` is its answer's length, 0 for a failure. */
  hopEnded(status: 'ok' | ErrorKind, ns: number, receivedBytes: number): void;
}

/** An inference client whose requests are counted. */
export class ObservedClient extends InferenceClient {
  readonly #observer: HopObserver;

  constructor(channel: RpcChannel, observer: HopObserver) {
    super(channel);
    this.#observer = observer;
  }

  override async infer(
    request: InferRequest,
    options?: Parameters<InferenceClient['infer']>[1],
  ): Promise<InferResponse> {
    const startNs = nowNs();
    const onSent = (sent: SentStamp): void => {
      request.sending?.onSent?.(sent);
      setImmediate(() => this.#observer.hopSent(sent.bytes));
    };
    const ended = (status: 'ok' | ErrorKind, receivedBytes: number): void => {
      const ns = elapsedNs(startNs);
      setImmediate(() => this.#observer.hopEnded(status, ns, receivedBytes));
    };
    try {
      const answer = await super.infer({ ...request, sending: { ...request.sending, onSent } }, options);
      ended('ok', answer.received?.bytes ?? 0);
      return answer;
    } catch (error) {
      ended(error instanceof TierbedError ? error.kind : 'internal', 0);
      throw error;
    }
  }
}
