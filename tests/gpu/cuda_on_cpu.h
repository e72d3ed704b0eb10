// CUDA's C++ on a CPU: included before a kernel's source, so that g++ can compile and run it.
//
// Blocks run one after the other. A kernel without barriers runs its threads in a loop; in one
// with barriers each thread is a fiber that gives way when it waits, so that shared memory, warp
// shuffles and true barriers work. If all wait and none can go on, the process aborts and says so.
#pragma once

#include <algorithm>
#include <cassert>
#include <cfloat>
#include <climits>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <csetjmp>
#include <ucontext.h>
#include <utility>
#include <vector>

// ---- words of the language ---------------------------------------------------------------------

#define __CUDACC_VER_MAJOR__ 13
#define __device__
#define __host__
#define __global__
#define __constant__ static
#define __shared__ static  // one block runs at a time
#define __forceinline__ inline
#define __noinline__
#define __restrict__ __restrict
#define __launch_bounds__(...)
#define __align__(n) __attribute__((aligned(n)))

struct Triple { unsigned x, y, z; };
static Triple threadIdx, blockIdx, blockDim, gridDim;
static const int warpSize = 32;

static std::vector<char> dynamic_shared_;
static inline void* dynamic_shared() { return dynamic_shared_.data(); }

// ---- fibers and barriers -----------------------------------------------------------------------

struct Fiber { ucontext_t start; jmp_buf resume; bool started, done; };
static ucontext_t scheduler_start;
static jmp_buf scheduler;
static std::vector<Fiber> fibers;
static int current;         // number of the running thread
static bool waits = false;  // whether threads are fibers
static bool progress;       // whether anything happened in this round

struct Barrier { int alive, arrived; unsigned generation; };
static Barrier block_barrier, warp_barrier[32];

static void open_if_complete(Barrier& b) {  // threads that have ended are not waited for
  if (b.arrived == 0 || b.arrived < b.alive) return;
  b.arrived = 0;
  b.generation++;
  progress = true;
}

static void give_way() {  // setjmp and longjmp: unlike swapcontext they make no system call
  if (_setjmp(fibers[current].resume) == 0) _longjmp(scheduler, 1);
}

static void wait_at(Barrier& b) {
  const unsigned generation = b.generation;
  b.arrived++;
  open_if_complete(b);
  while (b.generation == generation) give_way();
}

static inline void __syncthreads() { if (waits) wait_at(block_barrier); }
static inline void __syncwarp(unsigned = 0) { if (waits) wait_at(warp_barrier[current / 32]); }
static inline void __threadfence() {}
static inline void __threadfence_block() {}

// ---- warp shuffles: everyone writes, everyone waits, everyone reads ----------------------------

static double shuffled[1024];

template <class T> static T shuffle(T value, int lane) {
  memcpy(&shuffled[current], &value, sizeof value);
  __syncwarp();
  T result = value;
  if (0 <= lane && lane < 32) memcpy(&result, &shuffled[(current & ~31) + lane], sizeof result);
  __syncwarp();
  return result;
}
static inline int own() { return current & 31; }
template <class T> T __shfl_sync(unsigned, T v, int n, int = 32) { return shuffle(v, n & 31); }
template <class T>
T __shfl_up_sync(unsigned, T v, int n, int = 32) { return shuffle(v, own() - n); }
template <class T>
T __shfl_down_sync(unsigned, T v, int n, int = 32) { return shuffle(v, own() + n); }
template <class T>
T __shfl_xor_sync(unsigned, T v, int n, int = 32) { return shuffle(v, own() ^ n); }

// ---- atomics (nobody interrupts a thread) and intrinsics ---------------------------------------

template <class T> T atomicAdd(T* p, T v) { T old = *p; *p = old + v; return old; }
template <class T> T atomicMax(T* p, T v) { T old = *p; *p = std::max(old, v); return old; }
template <class T> T atomicMin(T* p, T v) { T old = *p; *p = std::min(old, v); return old; }
template <class T> T atomicExch(T* p, T v) { T old = *p; *p = v; return old; }
template <class T> T atomicCAS(T* p, T expected, T v) {
  T old = *p;
  if (old == expected) *p = v;
  return old;
}

template <class To, class From> static To same_bits(From x) {
  To y;
  memcpy(&y, &x, sizeof y);
  return y;
}
static inline float __int_as_float(int x) { return same_bits<float>(x); }
static inline int __float_as_int(float x) { return same_bits<int>(x); }
static inline double __longlong_as_double(long long x) { return same_bits<double>(x); }
static inline long long __double_as_longlong(double x) { return same_bits<long long>(x); }

template <class T> T __ldg(const T* p) { return *p; }
static inline int __clz(int x) { return x ? __builtin_clz(x) : 32; }
static inline int __clzll(long long x) { return x ? __builtin_clzll(x) : 64; }
static inline int __ffs(int x) { return __builtin_ffs(x); }
static inline int __popc(unsigned x) { return __builtin_popcount(x); }
static inline int __popcll(unsigned long long x) { return __builtin_popcountll(x); }
static inline float __expf(float x) { return expf(x); }
static inline float rsqrtf(float x) { return 1 / sqrtf(x); }
static inline float rsqrt(float x) { return 1 / sqrtf(x); }
static inline double rsqrt(double x) { return 1 / sqrt(x); }

using std::abs; using std::ceil; using std::copysign; using std::cos; using std::erf;
using std::exp; using std::exp2; using std::expm1; using std::fabs; using std::floor;
using std::fmod; using std::isfinite; using std::isinf; using std::isnan; using std::log;
using std::log10; using std::log1p; using std::log2; using std::max; using std::min;
using std::pow; using std::rint; using std::signbit; using std::sin; using std::sqrt;
using std::tanh; using std::trunc;

// ---- launch ------------------------------------------------------------------------------------

static void (*body)(void*);  // calls the kernel with its arguments
static void* body_argument;

static void set_thread(int t) {
  current = t;
  threadIdx = {t % blockDim.x, t / blockDim.x % blockDim.y, t / blockDim.x / blockDim.y};
}

static void run_fiber() {
  body(body_argument);
  fibers[current].done = progress = true;
  block_barrier.alive--;
  warp_barrier[current / 32].alive--;
  open_if_complete(block_barrier);
  open_if_complete(warp_barrier[current / 32]);
  _longjmp(scheduler, 1);
}

static void step_fiber(int t) {  // until it waits or ends
  set_thread(t);
  Fiber& fiber = fibers[t];
  if (_setjmp(scheduler)) return;
  if (fiber.started) _longjmp(fiber.resume, 1);
  fiber.started = true;
  setcontext(&fiber.start);
}

static void run_block_of_fibers(int n) {
  const size_t stack = 64 << 10;
  static std::vector<char> stacks;
  stacks.resize(stack * n);
  fibers.resize(n);
  block_barrier = {n, 0, 0};
  for (int w = 0; w * 32 < n; w++) warp_barrier[w] = {std::min(32, n - w * 32), 0, 0};
  for (int t = 0; t < n; t++) {
    Fiber& fiber = fibers[t];
    fiber.started = fiber.done = false;
    getcontext(&fiber.start);
    fiber.start.uc_stack.ss_sp = &stacks[stack * t];
    fiber.start.uc_stack.ss_size = stack;
    fiber.start.uc_link = nullptr;
    makecontext(&fiber.start, run_fiber, 0);
  }
  for (bool left = true; left;) {
    left = progress = false;
    for (int t = 0; t < n; t++)
      if (!fibers[t].done) { step_fiber(t); left = left || !fibers[t].done; }
    if (left && !progress) {
      fprintf(stderr, "a kernel hangs: its threads wait at different barriers\n");
      abort();
    }
  }
}

template <class... A> struct Call {
  void (*kernel)(A...);
  void** arguments;
  template <size_t... I> void apply(std::index_sequence<I...>) {
    kernel(*(std::remove_reference_t<A>*)arguments[I]...);
  }
  static void run(void* self) { ((Call*)self)->apply(std::index_sequence_for<A...>{}); }
};

template <class... A>
static void launch(void (*kernel)(A...), Triple grid, Triple block, unsigned shared,
                   void** arguments, bool has_barriers) {
  Call<A...> call{kernel, arguments};
  body = Call<A...>::run;
  body_argument = &call;
  gridDim = grid;
  blockDim = block;
  waits = has_barriers;
  const int n = block.x * block.y * block.z;
  for (unsigned z = 0; z < grid.z; z++)
    for (unsigned y = 0; y < grid.y; y++)
      for (unsigned x = 0; x < grid.x; x++) {
        blockIdx = {x, y, z};
        dynamic_shared_.assign(shared + 16, (char)0xA5);  // garbage, as on a chip
        if (waits) run_block_of_fibers(n);
        else for (int t = 0; t < n; t++) { set_thread(t); body(body_argument); }
      }
}

#define LAUNCHER(NAME, KERNEL, HAS_BARRIERS)                                                      \
  extern "C" void NAME##__on_cpu(unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, \
                                 unsigned bz, unsigned shared, void** arguments) {                \
    launch(KERNEL, {gx, gy, gz}, {bx, by, bz}, shared, arguments, HAS_BARRIERS);                  \
  }
