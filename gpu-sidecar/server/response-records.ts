/**
 * Tells the platform what to store of a response: `PUT /fleet/v1/responses/{id}?state=…` with the JSON.
 *
 * It is told before the client gets the end of it, so that whoever has seen a response can ask for it, but the client
 * waits `limits.storeResponseTimeoutMs` at most: an answer that was computed is better than one that is stored.
 */

import type { Logger } from '../../durable/runtime/log.ts';
import type { PlatformUrl } from '../discovery/worker-discovery.ts';
import type { ResponseRecord } from '../response/encoder.ts';
import type { Fetch } from '../tls/tls-fetch.ts';
import { platformRefusal } from './platform-refusal.ts';

export interface ResponseRecords {
  /** Resolves when the response is stored, or will not be. */
  keep(responseId: string, record: ResponseRecord): Promise<void>;
}

export interface PlatformRecordsOptions {
  platformUrl: PlatformUrl;
  fleetToken: string;
  timeoutMs: number;
  /** Node's own, or one with certificates. */
  fetcher?: Fetch;
  log: Pick<Logger, 'warn'>;
}

export function platformRecords({
  platformUrl,
  fleetToken,
  timeoutMs,
  fetcher = fetch,
  log,
}: PlatformRecordsOptions): ResponseRecords {
  return {
    async keep(responseId, { state, document }) {
      try {
        const response = await fetcher(
          `${platformUrl()}/fleet/v1/responses/${encodeURIComponent(responseId)}?state=${state}`,
          {
            method: 'PUT',
            headers: { authorization: `Bearer ${fleetToken}`, 'content-type': 'application/json' },
            body: document,
            signal: AbortSignal.timeout(timeoutMs),
          },
        );
        await response.arrayBuffer();
        if (!response.ok) throw platformRefusal(response);
      } catch (error) {
        log.warn('response not stored', {
          responseId,
          reason: error instanceof Error ? error.message : String(error),
        });
      }
    },
  };
}
