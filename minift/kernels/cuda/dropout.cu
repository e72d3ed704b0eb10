// y = x scale where the draw says keep, else 0; the way back is the same kernel on g. A warp takes
// 512 elements in 16 turns.
extern "C" __global__ void __launch_bounds__(256)
dropout(const T* x, T* y, Index size, u64 key0, u64 key1, Index limit, double scale) {
  const Index warp = ((Index)blockIdx.x * blockDim.x + threadIdx.x) / 32;
  Keep keep = {512 * (u64)warp, key0, key1, (unsigned)limit, 0};
  for (int k = 0; k < 16; k++) {
    const bool kept = keep(k);
    const Index i = 512 * warp + 32 * k + threadIdx.x % 32;
    if (i < size) y[i] = kept ? A(x[i]) * A(scale) : A(0);
  }
}
