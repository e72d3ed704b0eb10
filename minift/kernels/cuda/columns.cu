// ∂w = Σ g x̂ and ∂b = Σ g of layer normalisation, down the columns of (N, C): first slabs of rows,
// one thread a column, then the sums of the slabs, always in the same order.

extern "C" __global__ void __launch_bounds__(128)
slab_sums(const T* g, const T* x, const A* kept, A* sums, Index N, Index C, Index slab) {
  const Index j = (Index)blockIdx.x * blockDim.x + threadIdx.x;
  if (j >= C) return;
  const Index first = blockIdx.y * slab, last = min(first + slab, N);
  A to_w = 0, to_b = 0;
  for (Index row = first; row < last; row++) {
    const A v = g[row * C + j];
    to_w += v * (A(x[row * C + j]) - kept[2 * row]) * kept[2 * row + 1];
    to_b += v;
  }
  A* mine = sums + 2 * C * blockIdx.y;  // (slabs, 2, C)
  mine[j] = to_w, mine[C + j] = to_b;
}

// (slabs, 2, C) -> (C,) and (C,)
extern "C" __global__ void __launch_bounds__(128)
sum_of_slabs(const A* sums, T* to_w, T* to_b, Index slabs, Index C) {
  const Index j = (Index)blockIdx.x * blockDim.x + threadIdx.x;
  if (j >= 2 * C) return;
  A v = 0;
  for (Index s = 0; s < slabs; s++) v += sums[2 * C * s + j];
  (j < C ? to_w[j] : to_b[j - C]) = v;
}
