import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface FetchServer {
  readonly url: string;
  /** Paths asked for, each with its Range header. */
  readonly requests: readonly { path: string; range: string | undefined }[];
  close(): Promise<void>;
}

/**
 * A file server on loopback with faults: `/whole`, `/resumable` (answers ranges), `/cut` (ends after a third, of the rest
 * too), `/elsewhere` (answers another range than asked), `/stalls` (goes silent after a third), `/absent`, `/broken` (500), `/moved` (to /whole), `/circle` (to itself),
 * `/plain-http` (to another host, not https) and `/long` (gives more than it should).
 */
export async function fetchServer(content: Uint8Array): Promise<FetchServer> {
  const requests: { path: string; range: string | undefined }[] = [];
  const server = createServer((request, response) => {
    requests.push({ path: request.url ?? '', range: request.headers.range });
    answer(request, response, content);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function answer(request: IncomingMessage, response: ServerResponse, content: Uint8Array): void {
  const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0);
  const third = Math.floor(content.byteLength / 3);
  switch (request.url) {
    case '/whole':
      response.writeHead(200, { 'content-length': content.byteLength }).end(content);
      return;
    case '/resumable':
      response
        .writeHead(from ? 206 : 200, {
          'content-length': content.byteLength - from,
          ...(from && { 'content-range': `bytes ${from}-${content.byteLength - 1}/${content.byteLength}` }),
        })
        .end(content.subarray(from));
      return;
    case '/cut':
      response.writeHead(200, { 'content-length': content.byteLength });
      response.write(content.subarray(0, third), () => response.destroy());
      return;
    case '/stalls':
      response.writeHead(200, { 'content-length': content.byteLength });
      response.write(content.subarray(0, third));
      return;
    case '/elsewhere':
      response.writeHead(206, { 'content-range': `bytes 5-${content.byteLength - 1}/${content.byteLength}` });
      response.end(content.subarray(5));
      return;
    case '/broken':
      response.writeHead(500).end();
      return;
    case '/moved':
      response.writeHead(302, { location: '/whole' }).end();
      return;
    case '/circle':
      response.writeHead(302, { location: '/circle' }).end();
      return;
    case '/plain-http':
      response.writeHead(302, { location: 'http://example.invalid/whole' }).end();
      return;
    case '/long':
      response.writeHead(200).end(Buffer.concat([content, content]));
      return;
    default:
      response.writeHead(404).end();
  }
}
