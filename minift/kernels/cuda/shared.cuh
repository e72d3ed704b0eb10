// What the kernels of a file share. Put before it: T, the type of the arrays; A, the type of sums
// (float for half and float, double for double); ROW_THREADS, how many threads work on one row.
typedef long long Index;  // sizes may exceed 2^31
typedef unsigned long long u64;

#define INFINITE __int_as_float(0x7f800000)

// `bit` of the trouble word, see minift/backend/trouble.py
__device__ inline void note(int* trouble, Index bit) { atomicOr(trouble, (int)bit); }
