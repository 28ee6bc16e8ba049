import { messageOf, TierbedError } from '../../base/errors.js';
import { version } from '../../base/paths.js';
import type {
  ActiveFault,
  ErrorBody,
  FaultRequest,
  FaultsView,
  LinkName,
  LinkPatch,
  LinkSettings,
  LinksView,
  NewStudy,
  ResultFile,
  StatusView,
  StudyView,
  TierName,
  TierPatch,
  TierView,
  VerifyReport,
  VerifyRequest,
} from '../orchestrator/server/api.js';

const VERSION_HEADER = 'tierbed-version';
/** A proof of two slow links, or a study that is to stop, takes a while. */
const ANSWER_WITHIN_MS = 280_000;

export interface CallOptions {
  readonly body?: unknown;
  /** Bytes to be sent as they are. */
  readonly stream?: ReadableStream<Uint8Array> | Uint8Array;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal | undefined;
  /** The answer may take as long as it likes: events, and files. */
  readonly long?: boolean;
}

/** A client of the orchestrator's API; `connectApi` finds it. */
export class ApiClient {
  readonly url: string;
  readonly #token: string;

  /** @param url e.g. http://127.0.0.1:7070 */
  constructor(url: string, token: string) {
    this.url = url.replace(/\/+$/, '');
    this.#token = token;
  }

  status(signal?: AbortSignal): Promise<StatusView> {
    return this.call('GET', '/v1/status', { signal });
  }

  startStudy(study: NewStudy, signal?: AbortSignal): Promise<StudyView> {
    return this.call('POST', '/v1/studies', { body: study, signal });
  }

  async studies(): Promise<readonly StudyView[]> {
    return (await this.call<{ studies: StudyView[] }>('GET', '/v1/studies')).studies;
  }

  study(id: string, signal?: AbortSignal): Promise<StudyView> {
    return this.call('GET', `/v1/studies/${encodeURIComponent(id)}`, { signal });
  }

  stopStudy(id: string, signal?: AbortSignal): Promise<StudyView> {
    return this.call('POST', `/v1/studies/${encodeURIComponent(id)}/stop`, { signal });
  }

  resumeStudy(id: string): Promise<StudyView> {
    return this.call('POST', `/v1/studies/${encodeURIComponent(id)}/resume`);
  }

  removeStudy(id: string): Promise<void> {
    return this.call('DELETE', `/v1/studies/${encodeURIComponent(id)}`);
  }

  async results(id: string): Promise<readonly ResultFile[]> {
    return (await this.call<{ files: ResultFile[] }>('GET', `/v1/studies/${encodeURIComponent(id)}/results`)).files;
  }

  links(signal?: AbortSignal): Promise<LinksView> {
    return this.call('GET', '/v1/links', { signal });
  }

  setLink(name: LinkName, patch: LinkPatch): Promise<LinkSettings> {
    return this.call('PATCH', `/v1/links/${name}`, { body: patch });
  }

  verifyLinks(request: VerifyRequest, signal?: AbortSignal): Promise<VerifyReport> {
    return this.call('POST', '/v1/links/verify', { body: request, signal });
  }

  async tiers(signal?: AbortSignal): Promise<readonly TierView[]> {
    return (await this.call<{ tiers: TierView[] }>('GET', '/v1/tiers', { signal })).tiers;
  }

  setTier(name: TierName, patch: TierPatch): Promise<TierView> {
    return this.call('PATCH', `/v1/tiers/${name}`, { body: patch });
  }

  faults(): Promise<FaultsView> {
    return this.call('GET', '/v1/faults');
  }

  startFault(request: FaultRequest): Promise<ActiveFault> {
    return this.call('POST', '/v1/faults', { body: request });
  }

  stopFault(id: string): Promise<void> {
    return this.call('DELETE', `/v1/faults/${encodeURIComponent(id)}`);
  }

  /**
   * One call whose answer is JSON.
   *
   * @throws TierbedError as `open`
   */
  async call<T>(method: string, path: string, options: CallOptions = {}): Promise<T> {
    const response = await this.open(method, path, options);
    const text = await response.text().catch((error: unknown) => {
      throw unreachable(this.url, error, options.signal);
    });
    return (text === '' ? undefined : JSON.parse(text)) as T;
  }

  /**
   * One call whose answer the caller reads.
   *
   * @throws TierbedError what the orchestrator answered, `unavailable` when it does not, `refused` when the token or the
   *   version is wrong, `cancelled`
   */
  async open(method: string, path: string, options: CallOptions = {}): Promise<Response> {
    const { body, stream, headers, signal, long } = options;
    const bounds = [...(signal ? [signal] : []), ...(long ? [] : [AbortSignal.timeout(ANSWER_WITHIN_MS)])];
    let response: Response;
    try {
      response = await fetch(`${this.url}${path}`, {
        method,
        headers: {
          authorization: `Bearer ${this.#token}`,
          ...(body !== undefined && { 'content-type': 'application/json' }),
          ...(stream !== undefined && { 'content-type': 'application/octet-stream' }),
          ...headers,
        },
        ...(body !== undefined && { body: JSON.stringify(body) }),
        ...(stream !== undefined && { body: stream, duplex: 'half' as const }),
        redirect: 'error',
        ...(bounds.length > 0 && { signal: AbortSignal.any(bounds) }),
      });
    } catch (error) {
      throw unreachable(this.url, error, signal);
    }
    checkVersion(this.url, response);
    if (!response.ok) throw await answered(this.url, response);
    return response;
  }
}

function checkVersion(url: string, response: Response): void {
  const theirs = response.headers.get(VERSION_HEADER);
  if (theirs === version) return;
  void response.body?.cancel().catch(() => {});
  if (theirs === null) {
    throw new TierbedError('refused', `what answers at ${url} is not Tierbed's orchestrator`, {
      fix: 'Give its address with --api or TIERBED_API.',
    });
  }
  throw new TierbedError('refused', `the orchestrator at ${url} is of version ${theirs}, this command of ${version}`, {
    fix: 'Bring both to one version: tierbed up --build, or start tierbed serve anew.',
  });
}

async function answered(url: string, response: Response): Promise<TierbedError> {
  const text = await response.text().catch(() => '');
  try {
    const { kind, message, fix } = (JSON.parse(text) as ErrorBody).error;
    if (response.status === 401) {
      return new WrongToken(`${url}: ${message}`, {
        fix: "Give the token with --token or TIERBED_TOKEN; it is in the file 'token' of the state folder.",
      });
    }
    return new TierbedError(kind, message, fix === null ? {} : { fix });
  } catch {
    return new TierbedError('internal', `${url} answered ${response.status}: ${text.slice(0, 300)}`);
  }
}

/** The token is missing or not the service's. */
export class WrongToken extends TierbedError {
  constructor(message: string, options: { fix: string }) {
    super('refused', message, options);
  }
}

function unreachable(url: string, error: unknown, signal: AbortSignal | undefined): TierbedError {
  if (error instanceof TierbedError) return error;
  if (signal?.aborted) return new TierbedError('cancelled', 'stopped', { cause: error });
  if (error instanceof Error && error.name === 'TimeoutError') {
    return new TierbedError('timeout', `the orchestrator at ${url} gave no answer in ${ANSWER_WITHIN_MS / 1000} s`, {
      fix: 'See how it stands: tierbed status',
      cause: error,
    });
  }
  const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
  const code = (cause as NodeJS.ErrnoException).code;
  const why = code === 'ECONNREFUSED' ? 'nothing listens there' : messageOf(cause) || code;
  return new TierbedError('unavailable', `the orchestrator at ${url} cannot be reached: ${why}`, {
    fix: 'Start it with `tierbed up` (in Docker) or `tierbed serve` (on this machine), or give its address with --api.',
    cause: error,
  });
}
