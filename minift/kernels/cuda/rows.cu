// Softmax, log-softmax and cross-entropy over the rows of (N, C), and their derivatives.

// y = exp(x − top) / Σ exp(x − top)
extern "C" __global__ void __launch_bounds__(256, 4)
softmax(const T* x, T* y, Index N, Index C, int* trouble, Index infinite) {
  const Index row = own_row();
  if (row >= N) return;
  x += row * C, y += row * C;
  const A top = finite_top(x, C, trouble, infinite), total = exp_sum(x, C, top);
  FOR_ROW(j, C) y[j] = exp(A(x[j]) - top) / total;
}

// ∂x = y (g − Σ g y)
extern "C" __global__ void __launch_bounds__(256, 4)
softmax_backward(const T* g, const T* y, T* gx, Index N, Index C) {
  const Index row = own_row();
  if (row >= N) return;
  g += row * C, y += row * C, gx += row * C;
  A along = 0;
  FOR_ROW(j, C) along += A(g[j]) * A(y[j]);
  along = over_row(along, Sum());
  FOR_ROW(j, C) gx[j] = A(y[j]) * (A(g[j]) - along);
}

// y = (x − top) − log Σ exp(x − top)
extern "C" __global__ void __launch_bounds__(256, 4)
log_softmax(const T* x, T* y, Index N, Index C, int* trouble, Index infinite) {
  const Index row = own_row();
  if (row >= N) return;
  x += row * C, y += row * C;
  const A top = finite_top(x, C, trouble, infinite), log_total = log(exp_sum(x, C, top));
  FOR_ROW(j, C) y[j] = A(x[j]) - top - log_total;
}

// ∂x = g − exp(y) Σ g
extern "C" __global__ void __launch_bounds__(256, 4)
log_softmax_backward(const T* g, const T* y, T* gx, Index N, Index C) {
  const Index row = own_row();
  if (row >= N) return;
  g += row * C, y += row * C, gx += row * C;
  A total = 0;
  FOR_ROW(j, C) total += A(g[j]);
  total = over_row(total, Sum());
  FOR_ROW(j, C) gx[j] = A(g[j]) - exp(A(y[j])) * total;
}

// loss = log Σ exp(x − top) − (x[target] − top); keeps (top, log Σ) of each row for the way back
extern "C" __global__ void __launch_bounds__(256, 4)
cross_entropy(const T* x, const long long* target, T* loss, A* kept, Index N, Index C,
              int* trouble, Index infinite, Index no_class) {
  const Index row = own_row();
  if (row >= N) return;
  x += row * C;
  const A top = finite_top(x, C, trouble, infinite), log_total = log(exp_sum(x, C, top));
  if (threadIdx.x) return;
  const Index right = target[row];
  const bool is_class = 0 <= right && right < C;
  if (!is_class) note(trouble, no_class);
  loss[row] = is_class ? log_total - (A(x[right]) - top) : A(INFINITE - INFINITE);
  kept[2 * row] = top, kept[2 * row + 1] = log_total;
}

// ∂x = g (softmax(x) − [j = target])
extern "C" __global__ void __launch_bounds__(256, 4)
cross_entropy_backward(const T* g, const T* x, const long long* target, const A* kept, T* gx,
                       Index N, Index C) {
  const Index row = own_row();
  if (row >= N) return;
  x += row * C, gx += row * C;
  const A top = kept[2 * row], log_total = kept[2 * row + 1], slope = g[row];
  const Index right = target[row];
  FOR_ROW(j, C) gx[j] = slope * (exp(A(x[j]) - top - log_total) - (j == right));
}
