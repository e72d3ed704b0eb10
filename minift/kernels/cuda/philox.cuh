// Philox4x64-10 (Salmon et al. 2011): 256 random bits as a pure function of key and counter. Four
// words of 64 bits, each four draws of 16, as `kernels.keep_mask` makes them on the CPU.

struct Philox { u64 key0, key1; };

__device__ inline void philox_round(u64* c, u64 key0, u64 key1) {
  const u64 M0 = 0xD2E7470EE14C6C93ull, M1 = 0xCA5A826395121157ull;
  const u64 high0 = __umul64hi(M0, c[0]), high1 = __umul64hi(M1, c[2]);
  const u64 low0 = M0 * c[0], low1 = M1 * c[2];
  c[0] = high1 ^ c[1] ^ key0, c[1] = low1;
  c[2] = high0 ^ c[3] ^ key1, c[3] = low0;
}

// The 16 draws of one block as bits: set where the draw reaches the limit, which means "keep".
__device__ inline unsigned keep_bits(u64 block, u64 key0, u64 key1, unsigned limit) {
  u64 c[4] = {block + 1, 0, 0, 0};  // NumPy counts before it draws
  for (int round = 0; round < 10; round++) {
    philox_round(c, key0, key1);
    key0 += 0x9E3779B97F4A7C15ull, key1 += 0xBB67AE8584CAA73Bull;
  }
  unsigned bits = 0;
#pragma unroll
  for (int i = 0; i < 16; i++) bits |= unsigned((c[i / 4] >> 16 * (i % 4) & 0xffff) >= limit) << i;
  return bits;
}

// Whether element `first + 32 k + lane` is kept; a whole warp asks, for k = 0, 1, 2 … in turn.
// Each lane makes one block of 16 draws, which serve 16 turns of the warp; `first` is a multiple
// of 16.
struct Keep {
  u64 first, key0, key1;
  unsigned limit, bits;
  __device__ bool operator()(Index k) {
    const unsigned lane = threadIdx.x % 32, turn = k % 16;
    if (turn == 0) bits = keep_bits(first / 16 + 2 * k + lane, key0, key1, limit);
    return __shfl_sync(0xffffffff, bits, 2 * turn + lane / 16) >> lane % 16 & 1;
  }
};
