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

// From stack to stack. `swapcontext` makes system calls, and a kernel gives way a million times: on
// x86-64 what a call must preserve is pushed, the stacks are exchanged, and it is popped again.
#ifdef __x86_64__
using Place = void*;  // a stack pointer
extern "C" void exchange_stacks(Place* from, Place to);
asm(R"(
.text
exchange_stacks:
  push %rbp
  push %rbx
  push %r12
  push %r13
  push %r14
  push %r15
  mov %rsp, (%rdi)
  mov %rsi, %rsp
  pop %r15
  pop %r14
  pop %r13
  pop %r12
  pop %rbx
  pop %rbp
  ret
)");
static void leave_for(Place& from, Place& to) { exchange_stacks(&from, to); }
static void prepare(Place& place, char* stack, size_t size, void (*start)()) {
  void** top = (void**)((uintptr_t)(stack + size) & ~(uintptr_t)15) - 2;
  *top = (void*)start;  // what `ret` finds; below it six registers
  place = top - 6;
}
#else
using Place = ucontext_t;
static void leave_for(Place& from, Place& to) { swapcontext(&from, &to); }
static void prepare(Place& place, char* stack, size_t size, void (*start)()) {
  getcontext(&place);
  place.uc_stack.ss_sp = stack;
  place.uc_stack.ss_size = size;
  place.uc_link = nullptr;
  makecontext(&place, start, 0);
}
#endif

struct Fiber { Place place; bool done; };
static Place scheduler;
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

static void give_way() { leave_for(fibers[current].place, scheduler); }

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

// Two places in turn: whoever writes to the first again has waited for all to read the second,
// and so for all to have read the first.
static double shuffled[2][1024];
static bool turn[1024];  // of each thread

template <class T> static T shuffle(T value, int lane) {
  double* const place = shuffled[turn[current] = !turn[current]];
  memcpy(&place[current], &value, sizeof value);
  __syncwarp();
  T result = value;
  if (0 <= lane && lane < 32) memcpy(&result, &place[(current & ~31) + lane], sizeof result);
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

static unsigned __ballot_sync(unsigned, bool yes) {
  unsigned all = yes ? 1u << own() : 0;
  for (int n = 16; n; n /= 2) all |= __shfl_xor_sync(0, all, n);
  return all;
}

// ---- atomics (nobody interrupts a thread) and intrinsics ---------------------------------------

template <class T> T atomicAdd(T* p, T v) { T old = *p; *p = old + v; return old; }
template <class T> T atomicMax(T* p, T v) { T old = *p; *p = std::max(old, v); return old; }
template <class T> T atomicMin(T* p, T v) { T old = *p; *p = std::min(old, v); return old; }
template <class T> T atomicExch(T* p, T v) { T old = *p; *p = v; return old; }
template <class T> T atomicOr(T* p, T v) { T old = *p; *p = old | v; return old; }
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
static inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b) {
  return (unsigned __int128)a * b >> 64;
}
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

static void set_thread(unsigned t) {
  current = t;
  threadIdx = {t % blockDim.x, t / blockDim.x % blockDim.y, t / blockDim.x / blockDim.y};
}

static void next_thread() {
  current++;
  if (++threadIdx.x < blockDim.x) return;
  threadIdx.x = 0;
  if (++threadIdx.y < blockDim.y) return;
  threadIdx.y = 0;
  threadIdx.z++;
}

static void run_fiber() {  // a thread of each block in turn: making a fiber is slow
  for (;;) {
    body(body_argument);
    fibers[current].done = progress = true;
    block_barrier.alive--;
    warp_barrier[current / 32].alive--;
    open_if_complete(block_barrier);
    open_if_complete(warp_barrier[current / 32]);
    give_way();
  }
}

static void make_fibers(int n) {  // at most 1024; each is kept for the blocks to come
  const size_t stack = (64 << 10) + 5 * 64;  // no power of two: all tops would share cache lines
  static char* const stacks = (char*)malloc(stack * 1024);
  fibers.reserve(1024);
  for (int t = fibers.size(); t < n; t++) {
    fibers.emplace_back();
    prepare(fibers[t].place, &stacks[stack * t], stack, run_fiber);
  }
}

static bool run_warp(int first, int end) {  // as far as it can, ahead of the others
  bool moved = false;
  do {
    progress = false;
    set_thread(first);
    for (int t = first; t < end; t++, next_thread())
      if (!fibers[t].done) leave_for(scheduler, fibers[t].place);  // until it waits or ends
    moved = moved || progress;
  } while (progress);
  return moved;
}

static void run_block_of_fibers(int n) {
  make_fibers(n);
  block_barrier = {n, 0, 0};
  for (int w = 0; w * 32 < n; w++) warp_barrier[w] = {std::min(32, n - w * 32), 0, 0};
  for (int t = 0; t < n; t++) fibers[t].done = turn[t] = false;
  static bool backwards = true;  // every second block starts with its last warp
  backwards = !backwards;
  const int warps = (n + 31) / 32;
  for (bool left = true; left;) {
    bool moved = left = false;
    for (int i = 0; i < warps; i++) {
      const int first = 32 * (backwards ? warps - 1 - i : i);
      moved = run_warp(first, std::min(n, first + 32)) || moved;
      for (int t = first; t < std::min(n, first + 32); t++) left = left || !fibers[t].done;
    }
    if (left && !moved) {
      fprintf(stderr, "a kernel hangs: its threads wait at different barriers\n");
      abort();
    }
  }
}

static void run_block_in_a_loop(int n) {
  set_thread(0);
  for (int t = 0; t < n; t++, next_thread()) body(body_argument);
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
        waits ? run_block_of_fibers(n) : run_block_in_a_loop(n);
      }
}

#define LAUNCHER(NAME, KERNEL, HAS_BARRIERS)                                                      \
  extern "C" void NAME##__on_cpu(unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, \
                                 unsigned bz, unsigned shared, void** arguments) {                \
    launch(KERNEL, {gx, gy, gz}, {bx, by, bz}, shared, arguments, HAS_BARRIERS);                  \
  }
