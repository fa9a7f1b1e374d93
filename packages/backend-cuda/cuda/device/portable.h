// What every kernel is written against: CUDA under nvcc, the emulator under g++. Everything that is an instruction of
// the hardware and not C++ (mma, ldmatrix, cp.async, bf16 rounding, the launch itself) is named here once.
#pragma once
#include <cstring>

#include "../host/launch_geometry.h"
#include "../host/launch_profile.h"
#include "../host/types.h"
#ifdef __CUDACC__
#include <cuda_runtime.h>
#else
#include "../emulator/emulator.h"
#include "../emulator/streams.h"
#endif

namespace tunesmith::cuda {

constexpr unsigned kAllLanes = 0xffffffffu;

__host__ __device__ __forceinline__ float bitsToFloat(uint32_t bits) {
  float f;
  memcpy(&f, &bits, 4);
  return f;
}
__host__ __device__ __forceinline__ uint32_t floatToBits(float f) {
  uint32_t bits;
  memcpy(&bits, &f, 4);
  return bits;
}

struct bf16 {
  uint16_t bits;
};

// ---- instructions ---------------------------------------------------------------------------------------------------

#ifdef __CUDACC__
// Two floats rounded to the nearest bf16, ties to even; the first in the low half.
__device__ __forceinline__ uint32_t packBf16(float lo, float hi) {
  uint32_t r;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(r) : "f"(hi), "f"(lo));
  return r;
}
// A product that is rounded before anything is added to it; the compiler would otherwise fuse the two.
__device__ __forceinline__ float roundedProduct(float a, float b) { return __fmul_rn(a, b); }
// 2^x and 1 / x to 2 units in the last place; what is too small for a normal float becomes 0.
__device__ __forceinline__ float fastExp2(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
__device__ __forceinline__ float fastReciprocal(float x) {
  float y;
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
// c += a b on tensor cores, in the fragments of m16n8k16.
__device__ __forceinline__ void mma(float* c, const uint32_t* a, const uint32_t* b) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
template <bool transposed> __device__ __forceinline__ void loadMatrices(uint32_t* r, const bf16* row) {
  const uint32_t at = static_cast<uint32_t>(__cvta_generic_to_shared(row));
  if (transposed)
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
        : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
        : "r"(at)
        : "memory");
  else
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
        : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
        : "r"(at)
        : "memory");
}
// Copies 16 bytes into shared memory behind the computation, or writes zeros when `valid` is false.
__device__ __forceinline__ void copyAsync16(void* shared, const void* global, bool valid) {
  const uint32_t at = static_cast<uint32_t>(__cvta_generic_to_shared(shared));
  const int bytes = valid ? 16 : 0;
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(at), "l"(global), "r"(bytes) : "memory");
}
__device__ __forceinline__ void commitCopies() { asm volatile("cp.async.commit_group;" ::: "memory"); }
// Waits for the copies this thread has committed; a barrier must follow.
__device__ __forceinline__ void waitCopies() { asm volatile("cp.async.wait_group 0;" ::: "memory"); }
// A barrier of some of the block's warps, by number (1 to 15; 0 is __syncthreads): those that arrive go on at once,
// those that wait do so until `threads` have come, and then see what all of them wrote before.
__device__ __forceinline__ void arriveAt(int barrier, int threads) {
  asm volatile("bar.arrive %0, %1;" ::"r"(barrier), "r"(threads) : "memory");
}
__device__ __forceinline__ void waitAt(int barrier, int threads) {
  asm volatile("bar.sync %0, %1;" ::"r"(barrier), "r"(threads) : "memory");
}
template <class T> __device__ __forceinline__ T* dynamicShared() {
  extern __shared__ __align__(128) unsigned char tunesmithShared[];
  return reinterpret_cast<T*>(tunesmithShared);
}
#else
using namespace emulator::instructions;
#endif

// ---- bfloat16 -------------------------------------------------------------------------------------------------------

__device__ __forceinline__ float toFloat(float x) { return x; }
__device__ __forceinline__ float toFloat(bf16 x) { return bitsToFloat(static_cast<uint32_t>(x.bits) << 16); }

template <class T> __device__ __forceinline__ T fromFloat(float x) {
  if constexpr (sizeof(T) == 4)
    return x;
  else
    return {static_cast<uint16_t>(packBf16(x, 0.0f))};
}

// ---- several elements at once: 16 bytes of four floats or eight bf16 -----------------------------------------------

__device__ __forceinline__ void unpackFour(uint4 u, float* v) {
  v[0] = bitsToFloat(u.x);
  v[1] = bitsToFloat(u.y);
  v[2] = bitsToFloat(u.z);
  v[3] = bitsToFloat(u.w);
}
__device__ __forceinline__ uint4 packFour(const float* v) {
  return {floatToBits(v[0]), floatToBits(v[1]), floatToBits(v[2]), floatToBits(v[3])};
}
__device__ __forceinline__ void unpackEight(uint4 u, float* v) {
  const uint32_t words[4] = {u.x, u.y, u.z, u.w};
  for (int i = 0; i < 4; i++) {
    v[2 * i] = bitsToFloat(words[i] << 16);
    v[2 * i + 1] = bitsToFloat(words[i] & 0xffff0000u);
  }
}
__device__ __forceinline__ void loadEight(const float* p, float* v) {
  for (int i = 0; i < 2; i++) unpackFour(reinterpret_cast<const uint4*>(p)[i], v + 4 * i);
}
__device__ __forceinline__ void loadEight(const bf16* p, float* v) {
  unpackEight(*reinterpret_cast<const uint4*>(p), v);
}
__device__ __forceinline__ void storeEight(float* p, const float* v) {
  for (int i = 0; i < 2; i++) reinterpret_cast<uint4*>(p)[i] = packFour(v + 4 * i);
}
__device__ __forceinline__ void storeEight(bf16* p, const float* v) {
  *reinterpret_cast<uint4*>(p) = {
      packBf16(v[0], v[1]), packBf16(v[2], v[3]), packBf16(v[4], v[5]), packBf16(v[6], v[7])};
}

// ---- sums over a warp and a block -----------------------------------------------------------------------------------

template <class T> __device__ __forceinline__ T warpSum(T x) {
  for (int m = 16; m > 0; m >>= 1) x += __shfl_xor_sync(kAllLanes, x, m);
  return x;
}
__device__ __forceinline__ float warpMax(float x) {
  for (int m = 16; m > 0; m >>= 1) x = fmaxf(x, __shfl_xor_sync(kAllLanes, x, m));
  return x;
}

// Every thread gets the sum. The block has at most 1024 threads, full warps; `scratch`, 32 elements, is free after.
template <class T> __device__ __forceinline__ T blockSum(T x, T* scratch) {
  const int lane = static_cast<int>(threadIdx.x) & 31, warp = static_cast<int>(threadIdx.x) >> 5;
  const int warps = static_cast<int>(blockDim.x) >> 5;
  x = warpSum(x);
  __syncthreads();
  if (lane == 0) scratch[warp] = x;
  __syncthreads();
  T sum = lane < warps ? scratch[lane] : T(0);
  sum = warpSum(sum);
  __syncthreads();
  return sum;
}

// ---- launching ------------------------------------------------------------------------------------------------------

// Notes the first error of a launch; the next synchronising call reports it with the kernel's name.
void noteLaunch(const char* name, int error);

void allowShared(const void* kernel, size_t bytes);

template <class... Parameters, class... Arguments>
void launch(const char* name, void (*kernel)(Parameters...), dim3 grid, dim3 block, size_t shared, Stream stream,
    Arguments... arguments) {
  const LaunchScope scope(name, stream);
#ifdef __CUDACC__
  if (shared > 48 * 1024) allowShared(reinterpret_cast<const void*>(kernel), shared);
  kernel<<<grid, block, shared, stream>>>(static_cast<Parameters>(arguments)...);
  noteLaunch(name, static_cast<int>(cudaGetLastError()));
#else
  // By value, as a launch takes its parameters: it may run long after.
  emulator::submit(stream, [=] {
    auto body = [&] { kernel(static_cast<Parameters>(arguments)...); };
    using Body = decltype(body);
    emulator::run(name, grid, block, shared, [](void* context) { (*static_cast<const Body*>(context))(); }, &body);
  });
#endif
}

// The same with the blocks and threads of `g`, and no shared memory.
template <class... Parameters, class... Arguments>
void launch(const char* name, void (*kernel)(Parameters...), const Geometry& g, Stream stream, Arguments... arguments) {
  launch(name, kernel, dim3(g.blocks), dim3(g.threads), 0, stream, arguments...);
}

// Calls f(i) for every `step`-th i below n: for each thread of the grid its own.
template <int step = 1, class F> __device__ __forceinline__ void eachItem(int64_t n, F f) {
  for (int64_t i = (static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x) * step; i < n;
      i += static_cast<int64_t>(gridDim.x) * blockDim.x * step)
    f(i);
}
template <class F> __global__ void eachItemKernel(int64_t n, F f) { eachItem(n, f); }
// A launch that calls f(i), a `__device__` lambda, for i = 0 .. n - 1.
template <class F> void launchEach(const char* name, Stream stream, int64_t n, F f) {
  if (n > 0) launch(name, eachItemKernel<F>, overItems(n), stream, n, f);
}

}  // namespace tunesmith::cuda
