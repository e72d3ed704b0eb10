// Layer normalisation over the rows of (N, C): y = x̂ w + b with x̂ = (x − mean) / σ.

// keeps (mean, 1/σ) of each row for the way back
extern "C" __global__ void __launch_bounds__(256, 4)
layer_norm(const T* x, const T* w, const T* b, T* y, A* kept, Index N, Index C, double eps) {
  const Index row = own_row();
  if (row >= N) return;
  x += row * C, y += row * C;
  A mean = 0, squares = 0;
  FOR_ROW(j, C) mean += A(x[j]);
  mean = over_row(mean, Sum()) / C;
  FOR_ROW(j, C) squares += (A(x[j]) - mean) * (A(x[j]) - mean);
  const A rstd = 1 / sqrt(over_row(squares, Sum()) / C + A(eps));
  FOR_ROW(j, C) y[j] = (A(x[j]) - mean) * rstd * A(w[j]) + A(b[j]);
  if (threadIdx.x == 0) kept[2 * row] = mean, kept[2 * row + 1] = rstd;
}

// ∂x = (h − mean(h) − x̂ mean(h x̂)) / σ with h = g w
extern "C" __global__ void __launch_bounds__(256, 4)
layer_norm_to_x(const T* g, const T* x, const T* w, const A* kept, T* gx, Index N, Index C) {
  const Index row = own_row();
  if (row >= N) return;
  g += row * C, x += row * C, gx += row * C;
  const A mean = kept[2 * row], rstd = kept[2 * row + 1];
  A level = 0, along = 0;
  FOR_ROW(j, C) {
    const A h = A(g[j]) * A(w[j]);
    level += h;
    along += h * (A(x[j]) - mean) * rstd;
  }
  level = over_row(level, Sum()) / C;
  along = over_row(along, Sum()) / C;
  FOR_ROW(j, C)
    gx[j] = rstd * (A(g[j]) * A(w[j]) - level - (A(x[j]) - mean) * rstd * along);
}
