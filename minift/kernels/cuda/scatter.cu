// y[ids[n]] += g[n]: the transpose of a look-up, always added in the same order (no atomics).
//
// The block of the first row that has an id adds up all rows that have it; the others end. Each of
// its 8 warps looks at 32 ids at a time and adds the rows found, 4 columns a lane; then the warps'
// sums are added. The grid is (N rows, slices of 128 columns).
extern "C" __global__ void __launch_bounds__(256)
scatter_rows(const T* g, const long long* ids, T* y, Index N, Index C, Index V) {
  __shared__ int came_before;
  __shared__ A sums[8][128];
  const Index n = blockIdx.x, id = ids[n];
  const int lane = threadIdx.x, warp = threadIdx.y;
  if (id < 0 || id >= V) return;  // noted by the look-up
  if (lane == 0 && warp == 0) came_before = 0;
  __syncthreads();
  for (Index m = 32 * warp + lane; m < n; m += 256)
    if (ids[m] == id) came_before = 1;
  __syncthreads();
  if (came_before) return;
  A sum[4] = {0, 0, 0, 0};
  const Index column = 128 * (Index)blockIdx.y + lane;
  for (Index first = n / 256 * 256 + 32 * warp; first < N; first += 256) {
    const Index m = first + lane;
    unsigned found = __ballot_sync(0xffffffff, n <= m && m < N && ids[m] == id);
    for (; found; found &= found - 1) {
      const T* row = g + (first + __ffs(found) - 1) * C;
#pragma unroll
      for (int i = 0; i < 4; i++)
        if (column + 32 * i < C) sum[i] += A(row[column + 32 * i]);
    }
  }
#pragma unroll
  for (int i = 0; i < 4; i++) sums[warp][lane + 32 * i] = sum[i];
  __syncthreads();
  const int own = 32 * warp + lane;
  const Index j = 128 * (Index)blockIdx.y + own;
  if (own >= 128 || j >= C) return;
  A total = 0;
  for (int w = 0; w < 8; w++) total += sums[w][own];
  y[id * C + j] = total;
}
