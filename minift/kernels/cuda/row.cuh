// One row of a matrix, by ROW_THREADS threads: a warp (with several rows in a block, along y) or,
// for long rows, a whole block. Results are the same whatever else runs: no atomics on floats.
#define ALL_LANES 0xffffffff

__device__ inline Index own_row() { return (Index)blockIdx.x * blockDim.y + threadIdx.y; }

struct Sum { __device__ A operator()(A a, A b) const { return a + b; } };
struct Max {  // NaN wins
  __device__ A operator()(A a, A b) const { return a > b || a != a ? a : b; }
};

// Combine the v of all threads of the row; every thread gets the result.
template <class F> __device__ A over_row(A v, F f) {
  for (int n = 16; n; n /= 2) v = f(v, __shfl_xor_sync(ALL_LANES, v, n));
#if ROW_THREADS > 32
  __shared__ A of_warp[ROW_THREADS / 32];
  __syncthreads();  // someone may still read the values of the reduction before
  if (threadIdx.x % 32 == 0) of_warp[threadIdx.x / 32] = v;
  __syncthreads();
  v = of_warp[0];
  for (int w = 1; w < ROW_THREADS / 32; w++) v = f(v, of_warp[w]);
#endif
  return v;
}

// The elements of a row of C, spread over its threads so that neighbours read neighbours.
#define FOR_ROW(j, C) for (Index j = threadIdx.x; j < (C); j += ROW_THREADS)

// Largest value of a row; an infinite one is noted.
__device__ inline A finite_top(const T* x, Index C, int* trouble, Index bit) {
  A top = -INFINITE;
  FOR_ROW(j, C) top = Max()(top, x[j]);
  top = over_row(top, Max());
  if (threadIdx.x == 0 && (top == INFINITE || top == -INFINITE)) note(trouble, bit);
  return top;
}

// log Σ exp(x − top)
__device__ inline A exp_sum(const T* x, Index C, A top) {
  A total = 0;
  FOR_ROW(j, C) total += exp(A(x[j]) - top);
  return over_row(total, Sum());
}
