// Kernels over many tensors in one launch: optimizer steps, the length of a gradient, clipping,
// concatenation, and the collection of single numbers for one copy to the host.
//
// Addresses and sizes come as a struct by value, at most the 4 KB that a launch may take, so that
// nothing is copied to the device beforehand. Blocks number the chunks of all tensors.
#include <cuda_fp16.h>

const int CHUNK = 4096;      // elements that a block works on
const int ARGUMENTS = 4032;  // bytes that a Batch may take

template <class Entry> struct Batch { Entry entries[ARGUMENTS / sizeof(Entry)]; };

// The part of an entry's tensor that is this block's.
struct Chunk { long long start; int size; };
template <class Entry> __device__ Chunk chunk_of(const Entry& e) {
  const long long start = (long long)((int)blockIdx.x - e.first) * CHUNK;
  const long long left = e.size - start;
  return {start, (int)(left < CHUNK ? left : CHUNK)};
}

// The entry that this block works on: the last whose first chunk is not beyond it.
template <class Entry> __device__ int entry_of(const Batch<Entry>& batch, int count) {
  int low = 0, high = count - 1;
  while (low < high) {
    const int middle = (low + high + 1) / 2;
    if (batch.entries[middle].first <= (int)blockIdx.x) low = middle;
    else high = middle - 1;
  }
  return low;
}

// ---- update rules: the formulas of minift/optim/rules.py -----------------------------------------

template <class T> struct SGD {
  T lr, momentum, nesterov, weight_decay;
  __device__ void operator()(T& p, T g, T& b, T&) const {
    g += weight_decay * p;
    b = momentum * b + g;  // without momentum just g, and nobody keeps it
    p -= lr * (nesterov != 0 ? g + momentum * b : b);
  }
};

template <class T> struct RMSprop {
  T lr, alpha, one_minus_alpha, eps, momentum;
  __device__ void operator()(T& p, T g, T& v, T& b) const {
    v = alpha * v + one_minus_alpha * g * g;
    b = momentum * b + g / (sqrt(v) + eps);
    p -= lr * b;
  }
};

template <class T> struct Adam {
  T decay, beta1, one_minus_beta1, beta2, one_minus_beta2, rate, scale, eps;
  __device__ void operator()(T& p, T g, T& m, T& v) const {
    p *= decay;
    m = beta1 * m + one_minus_beta1 * g;
    v = beta2 * v + one_minus_beta2 * g * g;
    p -= rate * m / (scale * sqrt(v) + eps);
  }
};

// P: what gradients are stored in; T: what is computed in.
template <class P, class T, class Rule> struct Update {
  int first;  // number of its first chunk
  long long size;
  T* weight;
  const P* gradient;
  T* state;  // null where the rule keeps none
  T* second_state;
  P* copy;  // the weight in P, where that is smaller than T; else null
  Rule rule;
};

template <class P, class T, class Rule>
__global__ void __launch_bounds__(256)
step(const __grid_constant__ Batch<Update<P, T, Rule>> batch, int count, T scale) {
  const Update<P, T, Rule>& u = batch.entries[entry_of(batch, count)];
  const Chunk chunk = chunk_of(u);
  for (int k = threadIdx.x; k < chunk.size; k += blockDim.x) {
    const long long i = chunk.start + k;
    T p = u.weight[i];
    T s = u.state ? u.state[i] : T(0);
    T t = u.second_state ? u.second_state[i] : T(0);
    u.rule(p, scale * T(u.gradient[i]), s, t);
    u.weight[i] = p;
    if (u.state) u.state[i] = s;
    if (u.second_state) u.second_state[i] = t;
    if (u.copy) u.copy[i] = P(p);
  }
}

// ---- the length of all gradients together --------------------------------------------------------

template <class P> struct Gradient { int first; long long size; P* values; };

// Sum over the threads of a block of at most 1024, for thread 0.
__device__ double block_sum(double x) {
  __shared__ double of_warp[32];
  for (int n = 16; n; n /= 2) x += __shfl_down_sync(0xffffffff, x, n);
  if (threadIdx.x % 32 == 0) of_warp[threadIdx.x / 32] = x;
  __syncthreads();
  if (threadIdx.x >= 32) return 0;
  x = threadIdx.x < blockDim.x / 32 ? of_warp[threadIdx.x] : 0;
  for (int n = 16; n; n /= 2) x += __shfl_down_sync(0xffffffff, x, n);
  return x;
}

// g·g of each chunk: a block's own place, and a fixed order, so that equal runs stay equal.
template <class P, class T>
__global__ void __launch_bounds__(256)
squares(const __grid_constant__ Batch<Gradient<P>> batch, int count, double* sums) {
  const Gradient<P>& g = batch.entries[entry_of(batch, count)];
  const Chunk chunk = chunk_of(g);
  T sum = 0;
  for (int k = threadIdx.x; k < chunk.size; k += blockDim.x) {
    const T x = T(g.values[chunk.start + k]);
    sum += x * x;
  }
  const double total = block_sum(sum);
  if (threadIdx.x == 0) sums[blockIdx.x] = total;
}

extern "C" __global__ void __launch_bounds__(1024)
length(const double* sums, int count, double* result) {
  double sum = 0;
  for (int i = threadIdx.x; i < count; i += blockDim.x) sum += sums[i];
  const double total = block_sum(sum);
  if (threadIdx.x == 0) *result = sqrt(total);
}

// Scale gradients down to max_length; where the length is not finite, say so and leave them alone.
template <class P, class T>
__global__ void __launch_bounds__(256)
clip(const __grid_constant__ Batch<Gradient<P>> batch, int count, const double* length,
     double max_length, int* trouble, int bit) {
  if (!isfinite(*length)) {
    if (blockIdx.x == 0 && threadIdx.x == 0) *trouble |= bit;
    return;
  }
  const double factor = max_length / (*length + 1e-6);
  if (factor >= 1) return;
  const Gradient<P>& g = batch.entries[entry_of(batch, count)];
  const Chunk chunk = chunk_of(g);
  for (int k = threadIdx.x; k < chunk.size; k += blockDim.x) {
    P& x = g.values[chunk.start + k];
    x = P(T(x) * T(factor));
  }
}

// ---- concatenation, and its way back -------------------------------------------------------------

// Rows of `width` values that begin every `from_pitch` values there and `to_pitch` values here.
template <class P> struct Part {
  int first;
  long long size;
  const P* from;
  P* to;
  unsigned width, from_pitch, to_pitch;
};

template <class P>
__global__ void __launch_bounds__(256)
copy_parts(const __grid_constant__ Batch<Part<P>> batch, int count) {
  const Part<P>& part = batch.entries[entry_of(batch, count)];
  const Chunk chunk = chunk_of(part);
  for (int k = threadIdx.x; k < chunk.size; k += blockDim.x) {
    const long long i = chunk.start + k, row = i / part.width;
    const unsigned column = (unsigned)(i - row * part.width);
    part.to[row * part.to_pitch + column] = part.from[row * part.from_pitch + column];
  }
}

// ---- single numbers, side by side ----------------------------------------------------------------

struct Number { const void* address; int type; };  // type: NumPy's letter

extern "C" __global__ void pack(const __grid_constant__ Batch<Number> batch, int count,
                                double* numbers) {
  const int i = threadIdx.x;
  if (i >= count) return;
  const void* x = batch.entries[i].address;
  switch (batch.entries[i].type) {
    case 'e': numbers[i] = __half2float(*(const __half*)x); break;
    case 'f': numbers[i] = *(const float*)x; break;
    case 'd': numbers[i] = *(const double*)x; break;
    case 'i': numbers[i] = *(const int*)x; break;
    case 'l': numbers[i] = *(const long long*)x; break;
    case '?': numbers[i] = *(const bool*)x; break;
  }
}
