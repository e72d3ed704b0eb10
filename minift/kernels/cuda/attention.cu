// The attention core between its two products: scores (B, H, Tq, Tk) -> weights, and back. One
// warp a row of Tk scores. The turns of a row start at a multiple of 16 elements of the whole
// array, as the draws of dropout do: `before` elements of the first turn belong to the row before.
#define FOR_TURNS(k, j)                                                                    \
  for (Index k = 0, j = (Index)threadIdx.x - before; 32 * k - before < Tk; k++, j += 32)

// p = softmax(s + mask), in place of s; a row that may look nowhere becomes zeros. `dropped`
// (or null): p keep / (1 − dropout). The mask is absent, numbers to add (1) or booleans (2),
// repeated along axes of stride 0.
extern "C" __global__ void __launch_bounds__(256, 4)
attention_weights(T* s, T* dropped, const void* mask, Index kind, Index sb, Index sh, Index sq,
                  Index sk, Index rows, Index H, Index Tq, Index Tk, Index causal, u64 key0,
                  u64 key1, Index limit, double scale, int* trouble, Index infinite) {
  const Index row = own_row();
  if (row >= rows) return;
  const Index b = row / (H * Tq), h = row / Tq % H, i = row % Tq, origin = b * sb + h * sh + i * sq;
  const int before = row * Tk % 16;
  s += row * Tk, dropped += dropped ? row * Tk : 0;
  A top = -INFINITE, total = 0;
  FOR_TURNS(k, j) {
    if (j < 0 || j >= Tk) continue;
    A v = s[j];
    if (kind == 1) v += A(((const T*)mask)[origin + j * sk]);
    if (kind == 2 && !((const bool*)mask)[origin + j * sk]) v -= INFINITE;
    if (causal && j > i) v -= INFINITE;
    s[j] = v;
    top = Max()(top, v);
  }
  top = over_row(top, Max());
  if (threadIdx.x == 0 && top == INFINITE) note(trouble, infinite);
  const bool blind = top == -INFINITE;
  if (blind) top = 0;
  FOR_TURNS(k, j) if (0 <= j && j < Tk) total += exp(A(s[j]) - top);
  total = over_row(total, Sum()) + blind;
  Keep keep = {(u64)(row * Tk - before), key0, key1, (unsigned)limit, 0};
  FOR_TURNS(k, j) {
    const bool kept = dropped && keep(k);
    if (j < 0 || j >= Tk) continue;
    const A p = exp(A(s[j]) - top) / total;
    s[j] = p;
    if (dropped) dropped[j] = kept ? p * A(scale) : A(0);
  }
}

// ∂s = p (d − Σ p d) in place of g, where d = g keep / (1 − dropout); `dropped` again as above.
extern "C" __global__ void __launch_bounds__(256, 4)
attention_backward(const T* p, T* g, T* dropped, Index rows, Index Tk, u64 key0, u64 key1,
                   Index limit, double scale) {
  const Index row = own_row();
  if (row >= rows) return;
  const int before = row * Tk % 16;
  p += row * Tk, g += row * Tk, dropped += dropped ? row * Tk : 0;
  Keep keep = {(u64)(row * Tk - before), key0, key1, (unsigned)limit, 0};
  A along = 0;
  FOR_TURNS(k, j) {
    const bool kept = dropped && keep(k);
    if (j < 0 || j >= Tk) continue;
    if (dropped) {
      g[j] = kept ? A(g[j]) * A(scale) : A(0);
      dropped[j] = kept ? A(p[j]) * A(scale) : A(0);
    }
    along += A(p[j]) * A(g[j]);
  }
  along = over_row(along, Sum());
  FOR_TURNS(k, j) if (0 <= j && j < Tk) g[j] = A(p[j]) * (A(g[j]) - along);
}
