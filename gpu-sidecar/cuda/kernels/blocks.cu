// KV blocks between a paged cache and memory in which a block lies together; `planes.ts` says what the words mean.
//
// Grid: x shares a block's vectors of one plane among thread blocks, y is the plane, z the block. A piece is 16, 4 or 1 bytes, as
// the host found it to divide all addresses and lengths; neighbouring threads take neighbouring pieces, so that reads and writes
// of one warp fall together. No shared memory, no synchronisation: a thread's result depends on its own indices only. For that
// reason the same text is also valid C, and the stub driver of the tests runs it thread by thread.
//
// The host has checked every cell; nothing is checked here.

#ifdef __cplusplus
extern "C" {
#endif

struct Plane {
  unsigned long long base;
  unsigned long long tokenStride;
  unsigned long long headStride;
  unsigned long long vectorBytes;
  unsigned long long inBlock;
};

__device__ static void move_piece(unsigned long long to, unsigned long long from, unsigned int pieceBytes) {
  if (pieceBytes == 16u) {
    *(uint4 *)to = *(const uint4 *)from;
  } else if (pieceBytes == 4u) {
    *(unsigned int *)to = *(const unsigned int *)from;
  } else {
    *(unsigned char *)to = *(const unsigned char *)from;
  }
}

__device__ static void move_block(const struct Plane *planes, const unsigned int *cells,
                                  const unsigned long long *blocks, unsigned int tokens, unsigned int heads,
                                  unsigned int pieceBytes, int gather) {
  const struct Plane plane = planes[blockIdx.y];
  const unsigned int *cellOf = cells + (unsigned long long)blockIdx.z * tokens;
  const unsigned long long together = blocks[blockIdx.z] + plane.inBlock;
  const unsigned int pieces = (unsigned int)(plane.vectorBytes / pieceBytes);
  const unsigned int total = tokens * heads * pieces;
  const unsigned int step = gridDim.x * blockDim.x;
  unsigned int i;
  for (i = blockIdx.x * blockDim.x + threadIdx.x; i < total; i += step) {
    const unsigned int vector = i / pieces;
    const unsigned long long within = (unsigned long long)(i % pieces) * pieceBytes;
    const unsigned long long apart = plane.base + cellOf[vector / heads] * plane.tokenStride +
                                     (vector % heads) * plane.headStride + within;
    const unsigned long long inside = together + vector * plane.vectorBytes + within;
    if (gather) {
      move_piece(inside, apart, pieceBytes);
    } else {
      move_piece(apart, inside, pieceBytes);
    }
  }
}

__global__ void stator_gather_blocks(const struct Plane *planes, const unsigned int *cells,
                                     const unsigned long long *blocks, unsigned int tokens, unsigned int heads,
                                     unsigned int pieceBytes) {
  move_block(planes, cells, blocks, tokens, heads, pieceBytes, 1);
}

__global__ void stator_scatter_blocks(const struct Plane *planes, const unsigned int *cells,
                                      const unsigned long long *blocks, unsigned int tokens, unsigned int heads,
                                      unsigned int pieceBytes) {
  move_block(planes, cells, blocks, tokens, heads, pieceBytes, 0);
}

#ifdef __cplusplus
}
#endif
