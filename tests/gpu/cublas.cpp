// A small cuBLAS: the products that CuPy asks for, in float16, float32 and float64, by their
// definition. Matrices lie column by column (BLAS's order). Each product is noted, so that tests
// can ask what was computed and how. `cublas.py` adds the other names, which refuse.
#include <algorithm>
#include <cstddef>
#include <string>
#include <vector>

using Handle = void*;
using Status = int;  // 0: done
const Status UNSUPPORTED = 15;
enum { FLOAT32 = 0, FLOAT64 = 1, FLOAT16 = 2 };  // cudaDataType
enum { COMPUTE_16F = 64 };                       // cublasComputeType: sums in float16

static std::string products;  // a line each: name, type of matrices and of computation, flops
static void note(const char* name, int type, int compute, long m, long n, long k, long batch) {
  products += std::string(name) + " " + std::to_string(type) + " " + std::to_string(compute) + " " +
              std::to_string(2 * m * n * k * batch) + "\n";
}
template <class T> int type_of();
template <> int type_of<float>() { return FLOAT32; }
template <> int type_of<double>() { return FLOAT64; }

// C = alpha op(A) op(B) + beta C, summed in Sum; op transposes where its flag is set. C is not read
// if beta is 0. A goes into a panel of ROWS rows, so that the innermost loop is one that g++ makes
// vectors of; sums run over k in order, as the definition has it.
template <class T, class Sum>
static void gemm(int ta, int tb, int m, int n, int k, Sum alpha, const T* A, int lda, const T* B,
                 int ldb, Sum beta, T* C, int ldc) {
  constexpr int ROWS = 32, COLUMNS = 4;
  std::vector<Sum> panel((size_t)k * ROWS);
  for (int i = 0; i < m; i += ROWS) {
    const int rows = std::min(ROWS, m - i);
    for (int p = 0; p < k; p++)
      for (int r = i; r < i + rows; r++)
        panel[(size_t)p * ROWS + r - i] = ta ? A[p + (size_t)r * lda] : A[r + (size_t)p * lda];
    for (int j = 0; j < n; j += COLUMNS) {
      const int columns = std::min(COLUMNS, n - j);
      Sum sum[COLUMNS][ROWS] = {};
      for (int p = 0; p < k; p++) {
        const Sum* const a = &panel[(size_t)p * ROWS];
        for (int c = 0; c < COLUMNS; c++) {
          const int column = std::min(j + c, n - 1);  // beyond the edge: computed, not stored
          const Sum b = tb ? B[column + (size_t)p * ldb] : B[p + (size_t)column * ldb];
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

template <class T, class Sum>
static Status gemm_of(int ta, int tb, int m, int n, int k, const void* alpha, const void* A,
                      int lda, long long sa, const void* B, int ldb, long long sb,
                      const void* beta, void* C, int ldc, long long sc, int batch) {
  for (int i = 0; i < batch; i++)
    gemm<T>(ta, tb, m, n, k, *(const Sum*)alpha, (const T*)A + i * sa, lda, (const T*)B + i * sb,
            ldb, *(const Sum*)beta, (T*)C + i * sc, ldc);
  return 0;
}

static int pointer_mode, math_mode;

extern "C" {

const char* pretended_products() { return products.c_str(); }
void pretended_forget() { products.clear(); }

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
                                  int type_c, int ldc, long long sc, int batch, int compute,
                                  int) {
  if (type_a != type_b || type_a != type_c || type_a > FLOAT16) return UNSUPPORTED;
  if (type_a == FLOAT16 && compute == COMPUTE_16F) return UNSUPPORTED;
  note("gemm", type_a, compute, m, n, k, batch);
  auto run = type_a == FLOAT32   ? gemm_of<float, float>
             : type_a == FLOAT64 ? gemm_of<double, double>
                                 : gemm_of<_Float16, float>;
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
    note("gemm", type_of<T>(), type_of<T>(), m, n, k, 1);                                          \
    return gemm_of<T, T>(ta, tb, m, n, k, alpha, A, lda, 0, B, ldb, 0, beta, C, ldc, 0, 1);        \
  }                                                                                                \
  Status cublas##S##gemmStridedBatched(Handle, int ta, int tb, int m, int n, int k,                \
                                       const T* alpha, const T* A, int lda, long long sa,          \
                                       const T* B, int ldb, long long sb, const T* beta, T* C,     \
                                       int ldc, long long sc, int batch) {                         \
    note("gemm", type_of<T>(), type_of<T>(), m, n, k, batch);                                      \
    return gemm_of<T, T>(ta, tb, m, n, k, alpha, A, lda, sa, B, ldb, sb, beta, C, ldc, sc, batch); \
  }                                                                                                \
  Status cublas##S##gemmBatched(Handle, int ta, int tb, int m, int n, int k, const T* alpha,       \
                                const T* const* A, int lda, const T* const* B, int ldb,            \
                                const T* beta, T* const* C, int ldc, int batch) {                  \
    note("gemmBatched", type_of<T>(), type_of<T>(), m, n, k, batch);                               \
    for (int i = 0; i < batch; i++)                                                                \
      gemm<T>(ta, tb, m, n, k, *alpha, A[i], lda, B[i], ldb, *beta, C[i], ldc);                    \
    return 0;                                                                                      \
  }                                                                                                \
  Status cublas##S##gemv_v2(Handle, int ta, int m, int n, const T* alpha, const T* A, int lda,     \
                            const T* x, int ix, const T* beta, T* y, int iy) {                     \
    note("gemv", type_of<T>(), type_of<T>(), m, n, 1, 1);                                          \
    gemv<T>(ta, m, n, *alpha, A, lda, x, ix, *beta, y, iy);                                        \
    return 0;                                                                                      \
  }                                                                                                \
  Status cublas##S##dot_v2(Handle, int n, const T* x, int ix, const T* y, int iy, T* result) {     \
    note("dot", type_of<T>(), type_of<T>(), n, 1, 1, 1);                                           \
    *result = 0;                                                                                   \
    for (int i = 0; i < n; i++) *result += x[(size_t)i * ix] * y[(size_t)i * iy];                  \
    return 0;                                                                                      \
  }                                                                                                \
  Status cublas##S##ger_v2(Handle, int m, int n, const T* alpha, const T* x, int ix, const T* y,   \
                           int iy, T* A, int lda) {                                                \
    note("ger", type_of<T>(), type_of<T>(), m, n, 1, 1);                                           \
    for (int j = 0; j < n; j++)                                                                    \
      for (int i = 0; i < m; i++)                                                                  \
        A[i + (size_t)j * lda] += *alpha * x[(size_t)i * ix] * y[(size_t)j * iy];                  \
    return 0;                                                                                      \
  }

FOR_TYPE(S, float)
FOR_TYPE(D, double)
}
