/**
 * `stator tls`: an authority of one's own and certificates that it signs, for a fleet (`--fleet-tls-*`) or for trying out
 * https. It writes files and starts nothing; where a company has an authority, its certificates do as well.
 */

import { createPrivateKey, X509Certificate } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { defineCommand } from 'citty';
import { StatorError } from '../../durable/runtime/errors.ts';
import { type Authority, newAuthority, newCertificate } from '../certificates/certificate.ts';
import { refuseUnknown } from '../settings.ts';

const ARGS = {
  out: { type: 'string', description: 'Folder for the files.', default: 'certificates' },
  hosts: {
    type: 'string',
    description: 'Names and addresses of the machine, by commas; the first one names the files.',
    default: 'localhost,127.0.0.1',
  },
  days: { type: 'string', description: 'How long the certificate is valid.', default: '365' },
} as const;
const AUTHORITY_DAYS = 3_650;

export const tls = defineCommand({
  meta: { name: 'tls', description: 'Make an authority and a certificate of it, for TLS.' },
  args: ARGS,
  run({ args }): number {
    refuseUnknown(args, new Set(Object.keys(ARGS)));
    const hosts = args.hosts.split(',').flatMap((host) => host.trim() || []);
    const days = Number(args.days);
    if (hosts.length === 0) throw new StatorError('invalid_request', '--hosts wants a name or an address');
    if (!Number.isInteger(days) || days < 1 || days > AUTHORITY_DAYS) {
      throw new StatorError('invalid_request', `--days: ${args.days} is not between 1 and ${AUTHORITY_DAYS}`);
    }
    const name = (hosts[0] as string).replace(/[^\w.-]/g, '_');
    const file = (suffix: string) => join(args.out, suffix);
    const nowMs = Date.now();
    mkdirSync(args.out, { recursive: true });
    const authority = authorityIn(file('ca.pem'), file('ca-key.pem'), nowMs);
    const { cert, key } = newCertificate(authority, { hosts, days, nowMs });
    write(file(`${name}.pem`), cert, 0o644);
    write(file(`${name}-key.pem`), key, 0o600);
    process.stdout.write(
      `${file(`${name}.pem`)} for ${hosts.join(', ')}, ${days} days, signed by ${file('ca.pem')}\n\n` +
        `between the planes:  --fleet-tls-cert ${file(`${name}.pem`)} --fleet-tls-key ${file(`${name}-key.pem`)} --fleet-tls-ca ${file('ca.pem')}\n` +
        `for clients:         --tls-cert ${file(`${name}.pem`)} --tls-key ${file(`${name}-key.pem`)}\n\n` +
        `Whoever has ${file('ca-key.pem')} can join: keep it, and give other machines their own certificate.\n`,
    );
    return 0;
  },
});

/** The authority of the folder, made when there is none. */
function authorityIn(certFile: string, keyFile: string, nowMs: number): Authority {
  if (!existsSync(certFile)) {
    const authority = newAuthority('stator fleet', { nowMs, days: AUTHORITY_DAYS });
    write(certFile, authority.cert, 0o644);
    write(keyFile, authority.key, 0o600);
    return authority;
  }
  try {
    const cert = readFileSync(certFile, 'utf8');
    const key = readFileSync(keyFile, 'utf8');
    const name = new X509Certificate(cert).subject.replace(/^CN=/, '');
    return { name, cert, key, privateKey: createPrivateKey(key) };
  } catch (cause) {
    const reason = (cause as Error).message;
    throw new StatorError('invalid_request', `--out: ${certFile} is there, but cannot be used: ${reason}`, {
      cause,
    });
  }
}

/** Never over an old file: somebody may be running on it. */
function write(path: string, text: string, mode: number): void {
  try {
    writeFileSync(path, text, { mode, flag: 'wx' });
  } catch (cause) {
    throw new StatorError('invalid_request', `--out: ${(cause as Error).message}`, { cause });
  }
}
