/**
 * XXH3-64 of a block's bytes, seeded with its sequence hash: right bytes under a wrong name are found out as surely as flipped
 * bits. By the wasm module that names blocks; native crc32 of node:zlib was measured slower (docs/decisions/0014).
 */

import { xxh3 } from '#wasm/tokens';

export const blockChecksum = (hash: bigint, bytes: Uint8Array): bigint => xxh3(bytes, hash);
