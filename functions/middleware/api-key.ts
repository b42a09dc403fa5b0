/**
 * The API key, from `Authorization: Bearer` or `x-api-key`, compared in constant time and before the body is read.
 * No key configured: no check.
 */
import { StatorError } from '../../durable/runtime/errors.ts';

/** Throws `invalid_api_key`. */
export function requireApiKey(request: Request, apiKey: string): void {
  if (apiKey === '') return;
  const given = bearerToken(request) ?? request.headers.get('x-api-key');
  if (given !== null && equalSecrets(given, apiKey)) return;
  const message =
    given === null
      ? 'You did not provide an API key: send it as `Authorization: Bearer …` or as `x-api-key`.'
      : 'Incorrect API key provided.';
  throw new StatorError('invalid_api_key', message);
}

/** Has the request the fleet token? Without one configured nobody is a worker. */
export function isOfFleet(request: Request, fleetToken: string): boolean {
  const given = bearerToken(request);
  return fleetToken !== '' && given !== null && equalSecrets(given, fleetToken);
}

/** Of a worker that dials in. */
export function requireFleetToken(request: Request, fleetToken: string): void {
  if (isOfFleet(request, fleetToken)) return;
  throw new StatorError('invalid_api_key', 'The fleet token is missing or wrong.');
}

function bearerToken(request: Request): string | null {
  const header = request.headers.get('authorization');
  return header !== null && /^bearer /i.test(header) ? header.slice('bearer '.length).trim() : null;
}

/** Takes as long for any content of `given`; only the length of `expected` shows, which is no secret. */
export function equalSecrets(given: string, expected: string): boolean {
  let difference = given.length ^ expected.length;
  for (let at = 0; at < expected.length; at++) {
    difference |= expected.charCodeAt(at) ^ (at < given.length ? given.charCodeAt(at) : 0);
  }
  return difference === 0;
}
