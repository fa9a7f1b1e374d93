// CUDA's execution model on one CPU thread, so that the kernels compile with g++ and run in every test.
//
// A launch runs the blocks one after another. Inside a block each CUDA thread is a fiber with its own stack; it runs
// until it needs others (a barrier, a shuffle, an mma) and waits there until all of them have come. Fibers run in an
// order that can be changed (`setSchedule`): a kernel that lacks a barrier gives other bits under another order.
//
// What it is not: several blocks at once (so atomics are plain additions), memory models, speed, and registers. What
// needs the hardware stays unproven until it runs there. Streams are in streams.h.
#pragma once
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __restrict__ __restrict
#define __shared__ static
#define __launch_bounds__(...)
#define __align__(n) alignas(n)

struct dim3 {
  unsigned x, y, z;
  dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
};
struct alignas(8) uint2 {
  uint32_t x, y;
};
struct alignas(16) uint4 {
  uint32_t x, y, z, w;
};

namespace emulator {

enum class Schedule : int { forward, reverse, shuffled };
void setSchedule(Schedule schedule);

// Launches are checked and then do nothing.
extern bool dry;

constexpr size_t kSharedPerBlock = 227 * 1024;  // of sm_90

// The running thread's place; threadIdx and its kin read it.
struct Place {
  dim3 thread, block, blockSize, grid;
};
const Place& place();
// Dynamic shared memory of the running block, of exactly the size that was asked for and filled with NaN patterns.
void* dynamicShared();

// Runs `body(context)` once per thread. `name` is for messages.
void run(const char* name, dim3 grid, dim3 block, size_t sharedBytes, void (*body)(void*), void* context);

void blockBarrier();
void warpBarrier();
// What the 32 lanes put in, after all of them did. `combine` runs once, with the table of all lanes, before any goes
// on.
constexpr int kWords = 12;
using Table = uint32_t[32][kWords];
using Combine = void (*)(Table& lanes);
const Table& exchange(const uint32_t* words, int count, Combine combine);
int lane();

// What device/portable.h gives kernels under nvcc.
namespace instructions {

// PTX bar.arrive and bar.sync with a number and a count of threads.
void arriveAt(int barrier, int threads);
void waitAt(int barrier, int threads);
// PTX mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32: c += a b.
void mma(float* c, const uint32_t* a, const uint32_t* b);
// PTX ldmatrix.sync.aligned.m8n8.x4.shared.b16, with .trans or without.
template <bool transposed> void loadMatrices(uint32_t* r, const void* row);
// cp.async: nothing arrives before this thread waits for the group the copy belongs to.
void copyAsync16(void* shared, const void* global, bool valid);
void commitCopies();
void waitCopies();
uint32_t packBf16(float lo, float hi);
inline float roundedProduct(float a, float b) {
  const volatile float product = a * b;
  return product;
}
inline float fastExp2(float x) { return exp2f(x); }
inline float fastReciprocal(float x) { return 1.0f / x; }
template <class T> T* dynamicShared() { return static_cast<T*>(emulator::dynamicShared()); }

}  // namespace instructions
}  // namespace emulator

#define threadIdx (emulator::place().thread)
#define blockIdx (emulator::place().block)
#define blockDim (emulator::place().blockSize)
#define gridDim (emulator::place().grid)

inline void __syncthreads() { emulator::blockBarrier(); }
inline void __syncwarp() { emulator::warpBarrier(); }

template <class T> inline T __shfl_sync(unsigned, T value, int source) {
  static_assert(sizeof(T) == 4 || sizeof(T) == 8, "4 or 8 bytes");
  uint32_t words[2] = {0, 0};
  std::memcpy(words, &value, sizeof(T));
  const emulator::Table& lanes = emulator::exchange(words, sizeof(T) / 4, nullptr);
  std::memcpy(&value, lanes[source & 31], sizeof(T));
  return value;
}
template <class T> inline T __shfl_xor_sync(unsigned lanes, T value, int mask) {
  return __shfl_sync(lanes, value, emulator::lane() ^ mask);
}
inline int __any_sync(unsigned, int predicate) {
  const uint32_t word = predicate ? 1 : 0;
  const emulator::Table& lanes = emulator::exchange(&word, 1, nullptr);
  int any = 0;
  for (int l = 0; l < 32; l++) any |= static_cast<int>(lanes[l][0]);
  return any;
}
inline float rsqrtf(float x) { return 1.0f / std::sqrt(x); }
