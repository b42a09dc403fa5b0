/** The object store that a URL names: `file:///folder`, or `s3://bucket/prefix` with the settings of S3. */

import { fileURLToPath } from 'node:url';
import { wallClock } from '../../../durable/runtime/clock.ts';
import { StatorError } from '../../../durable/runtime/errors.ts';
import type { ObjectStore } from './object-store.ts';
import { S3, type S3Options } from './s3.ts';
import { SharedDirectory } from './shared-directory.ts';

export type S3Access = Omit<S3Options, 'bucket' | 'prefix'>;

/** Throws `invalid_request`. */
export function openObjectStore(address: string, access: S3Access): ObjectStore {
  const url = URL.parse(address);
  switch (url?.protocol) {
    case 'file:':
      return new SharedDirectory(fileURLToPath(url.href), wallClock);
    case 's3:':
      return new S3({ ...access, bucket: url.host, prefix: prefixOf(url.pathname) });
    default:
      throw new StatorError('invalid_request', `${address} is neither file:///folder nor s3://bucket/prefix`);
  }
}

const prefixOf = (path: string) => path.replace(/^\/+|\/+$/g, '').replace(/(.)$/, '$1/');
