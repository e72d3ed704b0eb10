// A small cuBLAS: the products that CuPy asks for, in float32 and float64, by their definition.
// Matrices lie column by column (BLAS's order). `cublas.py` adds the other names, which refuse.
#include <algorithm>
#include <cstddef>
#include <vector>

using Handle = void*;
using Status = int;  // 0: done
const Status UNSUPPORTED = 15;
enum { FLOAT32 = 0, FLOAT64 = 1 };  // cudaDataType

// C = alpha op(A) op(B) + beta C; op transposes where its flag is set. C is not read if beta is 0.
// A goes into a panel of ROWS rows, so that the innermost loop is one that g++ makes vectors of;
// sums run over k in order, as the definition has it.
template <class T>
static void gemm(int ta, int tb, int m, int n, int k, T alpha, const T* A, int lda, const T* B,
                 int ldb, T beta, T* C, int ldc) {
  constexpr int ROWS = 32, COLUMNS = 4;
  std::vector<T> panel((size_t)k * ROWS);
  for (int i = 0; i < m; i += ROWS) {
    const int rows = std::min(ROWS, m - i);
    for (int p = 0; p < k; p++)
      for (int r = 0; r < rows; r++)
        panel[(size_t)p * ROWS + r] = ta ? A[p + (size_t)(i + r) * lda] : A[i + r + (size_t)p * lda];
    for (int j = 0; j < n; j += COLUMNS) {
      const int columns = std::min(COLUMNS, n - j);
      T sum[COLUMNS][ROWS] = {};
      for (int p = 0; p < k; p++) {
        const T* const a = &panel[(size_t)p * ROWS];
        for (int c = 0; c < COLUMNS; c++) {
          const int column = std::min(j + c, n - 1);  // beyond the edge: computed, not stored
          const T b = tb ? B[column + (size_t)p * ldb] : B[p + (size_t)column * ldb];
          for (int r = 0; r < ROWS; r++) sum[c][r] += a[r] * b;
        }
      }
      for (int c = 0; c < columns; c++)
        for (int r = 0; r < rows; r++) {
          T& y = C[i + r + (size_t)(j + c) * ldc];
          y = alpha * sum[c][r] + (beta == 0 ? 0 : beta * y);
        }
    }
  }
}

// y = alpha op(A) x + beta y with A (m, n)
template <class T>
static void gemv(int ta, int m, int n, T alpha, const T* A, int lda, const T* x, int ix, T beta,
                 T* y, int iy) {
  for (int i = 0; i < (ta ? n : m); i++) {
    T sum = 0;
    for (int p = 0; p < (ta ? m : n); p++)
      sum += (ta ? A[p + (size_t)i * lda] : A[i + (size_t)p * lda]) * x[(size_t)p * ix];
    T& out = y[(size_t)i * iy];
    out = alpha * sum + (beta == 0 ? 0 : beta * out);
  }
}

template <class T>
static Status gemm_of(int ta, int tb, int m, int n, int k, const void* alpha, const void* A,
                      int lda, long long sa, const void* B, int ldb, long long sb,
                      const void* beta, void* C, int ldc, long long sc, int batch) {
  for (int i = 0; i < batch; i++)
    gemm<T>(ta, tb, m, n, k, *(const T*)alpha, (const T*)A + i * sa, lda, (const T*)B + i * sb, ldb,
            *(const T*)beta, (T*)C + i * sc, ldc);
  return 0;
}

static int pointer_mode, math_mode;

extern "C" {

Status cublasCreate_v2(Handle* h) { *h = (Handle)1; return 0; }
Status cublasDestroy_v2(Handle) { return 0; }
Status cublasSetStream_v2(Handle, Handle) { return 0; }
Status cublasGetStream_v2(Handle, Handle* s) { *s = nullptr; return 0; }
Status cublasSetPointerMode_v2(Handle, int mode) { pointer_mode = mode; return 0; }
Status cublasGetPointerMode_v2(Handle, int* mode) { *mode = pointer_mode; return 0; }
Status cublasSetMathMode(Handle, int mode) { math_mode = mode; return 0; }
Status cublasGetMathMode(Handle, int* mode) { *mode = math_mode; return 0; }
Status cublasGetVersion_v2(Handle, int* version) { *version = 130000; return 0; }

Status cublasGemmStridedBatchedEx(Handle, int ta, int tb, int m, int n, int k, const void* alpha,
                                  const void* A, int type_a, int lda, long long sa, const void* B,
                                  int type_b, int ldb, long long sb, const void* beta, void* C,
                                  int type_c, int ldc, long long sc, int batch, int, int) {
  if (type_a != type_b || type_a != type_c || type_a > FLOAT64) return UNSUPPORTED;
  auto run = type_a == FLOAT32 ? gemm_of<float> : gemm_of<double>;
  return run(ta, tb, m, n, k, alpha, A, lda, sa, B, ldb, sb, beta, C, ldc, sc, batch);
}

Status cublasGemmEx(Handle h, int ta, int tb, int m, int n, int k, const void* alpha, const void* A,
                    int type_a, int lda, const void* B, int type_b, int ldb, const void* beta,
                    void* C, int type_c, int ldc, int compute, int algorithm) {
  return cublasGemmStridedBatchedEx(h, ta, tb, m, n, k, alpha, A, type_a, lda, 0, B, type_b, ldb, 0,
                                    beta, C, type_c, ldc, 0, 1, compute, algorithm);
}

Status cublasSgemmEx(Handle h, int ta, int tb, int m, int n, int k, const float* alpha,
                     const void* A, int type_a, int lda, const void* B, int type_b, int ldb,
                     const float* beta, void* C, int type_c, int ldc) {
  return cublasGemmEx(h, ta, tb, m, n, k, alpha, A, type_a, lda, B, type_b, ldb, beta, C, type_c,
                      ldc, 0, 0);
}

#define FOR_TYPE(S, T)                                                                             \
  Status cublas##S##gemm_v2(Handle, int ta, int tb, int m, int n, int k, const T* alpha,           \
                            const T* A, int lda, const T* B, int ldb, const T* beta, T* C,         \
                            int ldc) {                                                             \
    return gemm_of<T>(ta, tb, m, n, k, alpha, A, lda, 0, B, ldb, 0, beta, C, ldc, 0, 1);           \
  }                                                                                                \
  Status cublas##S##gemmStridedBatched(Handle, int ta, int tb, int m, int n, int k,                \
                                       const T* alpha, const T* A, int lda, long long sa,          \
                                       const T* B, int ldb, long long sb, const T* beta, T* C,     \
                                       int ldc, long long sc, int batch) {                         \
    return gemm_of<T>(ta, tb, m, n, k, alpha, A, lda, sa, B, ldb, sb, beta, C, ldc, sc, batch);    \
  }                                                                                                \
  Status cublas##S##gemmBatched(Handle, int ta, int tb, int m, int n, int k, const T* alpha,       \
                                const T* const* A, int lda, const T* const* B, int ldb,            \
                                const T* beta, T* const* C, int ldc, int batch) {                  \
    for (int i = 0; i < batch; i++)                                                                \
      gemm<T>(ta, tb, m, n, k, *alpha, A[i], lda, B[i], ldb, *beta, C[i], ldc);                    \
    return 0;                                                                                      \
  }                                                                                                \
  Status cublas##S##gemv_v2(Handle, int ta, int m, int n, const T* alpha, const T* A, int lda,     \
                            const T* x, int ix, const T* beta, T* y, int iy) {                     \
    gemv<T>(ta, m, n, *alpha, A, lda, x, ix, *beta, y, iy);                                        \
    return 0;                                                                                      \
  }                                                                                                \
  Status cublas##S##dot_v2(Handle, int n, const T* x, int ix, const T* y, int iy, T* result) {     \
    *result = 0;                                                                                   \
    for (int i = 0; i < n; i++) *result += x[(size_t)i * ix] * y[(size_t)i * iy];                  \
    return 0;                                                                                      \
  }                                                                                                \
  Status cublas##S##ger_v2(Handle, int m, int n, const T* alpha, const T* x, int ix, const T* y,   \
                           int iy, T* A, int lda) {                                                \
    for (int j = 0; j < n; j++)                                                                    \
      for (int i = 0; i < m; i++)                                                                  \
        A[i + (size_t)j * lda] += *alpha * x[(size_t)i * ix] * y[(size_t)j * iy];                  \
    return 0;                                                                                      \
  }

FOR_TYPE(S, float)
FOR_TYPE(D, double)
}
