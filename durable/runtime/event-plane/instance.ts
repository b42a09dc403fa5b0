/** Instance ids: 16 hex digits with us, 64-bit numbers on NVIDIA Dynamo's planes. */

export const instanceHex = (id: bigint): string => id.toString(16).padStart(16, '0');
export const instanceNumber = (hex: string): bigint => BigInt(`0x${hex}`);
