// Rows of a table by integer ids, the sum of rows that share an id, and checks of ids.

// y[n] = table[ids[n]]; an id out of range is noted and gives NaN. A block a row.
extern "C" __global__ void __launch_bounds__(128)
take_rows(const T* table, const long long* ids, T* y, Index C, Index V, int* trouble, Index bit) {
  const Index n = blockIdx.x, id = ids[n];
  const bool fits = 0 <= id && id < V;
  if (!fits && threadIdx.x == 0) note(trouble, bit);
  for (Index j = threadIdx.x; j < C; j += blockDim.x)
    y[n * C + j] = fits ? A(table[id * C + j]) : A(INFINITE - INFINITE);
}

// Targets to rows of logits: classes[n] = target[n] and used[n] = counts[n] = 1; all 0 for the one
// to ignore. Any other that is none of the C classes is noted.
extern "C" __global__ void __launch_bounds__(256)
targets(const long long* target, long long* classes, bool* used, T* counts, Index N, Index C,
        Index ignored, int* trouble, Index bit) {
  const Index n = (Index)blockIdx.x * blockDim.x + threadIdx.x;
  if (n >= N) return;
  const Index c = target[n];
  const bool fits = 0 <= c && c < C;
  if (!fits && c != ignored) note(trouble, bit);
  classes[n] = fits && c != ignored ? c : 0;
  used[n] = c != ignored;
  counts[n] = used[n];
}

// Note an index that points outside an axis of n elements, counted from either end.
extern "C" __global__ void __launch_bounds__(256)
check_bounds(const long long* index, Index size, Index n, int* trouble, Index bit) {
  const Index i = (Index)blockIdx.x * blockDim.x + threadIdx.x;
  if (i < size && (index[i] < -n || index[i] >= n)) note(trouble, bit);
}
