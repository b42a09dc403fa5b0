/** A folder with an authority and certificates of it, for deployments with TLS. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';
import { newAuthority, newCertificate } from '../../cli/certificates/certificate.ts';

const validity = () => ({ nowMs: Date.now(), days: 2 });

export interface Issued {
  /** Paths. */
  cert: string;
  key: string;
  ca: string;
  /** PEM. */
  pem: { cert: string; key: string; ca: string };
}

/** Removed with the test file. */
export function certificateAuthority(name: string): { issue(hosts: readonly string[]): Issued } {
  const folder = mkdtempSync(join(tmpdir(), `stator-${name}-`));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  const authority = newAuthority(name, validity());
  let issued = 0;
  return {
    issue(hosts) {
      const { cert, key } = newCertificate(authority, { hosts, ...validity() });
      const pem = { cert, key, ca: authority.cert };
      const paths = { cert: '', key: '', ca: '' };
      issued += 1;
      for (const file of ['cert', 'key', 'ca'] as const) {
        paths[file] = join(folder, `${file}-${issued}.pem`);
        writeFileSync(paths[file], pem[file]);
      }
      return { ...paths, pem };
    },
  };
}
