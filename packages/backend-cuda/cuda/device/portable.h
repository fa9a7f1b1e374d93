// What every kernel is written against: CUDA under nvcc, the emulator under g++. Everything that is an instruction of
// the hardware and not C++ (mma, ldmatrix, cp.async, bf16 rounding, the launch itself) is named here once.
#pragma once
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

// ---- bfloat16 -------------------------------------------------------------------------------------------------------

struct bf16 {
  uint16_t bits;
};

__host__ __device__ __forceinline__ float bitsToFloat(uint32_t bits) {
#ifdef __CUDA_ARCH__
  return __uint_as_float(bits);
#else
  union {
    uint32_t u;
    float f;
  } v = {bits};
  return v.f;
#endif
}
__host__ __device__ __forceinline__ uint32_t floatToBits(float f) {
#ifdef __CUDA_ARCH__
  return __float_as_uint(f);
#else
  union {
    float f;
    uint32_t u;
  } v = {f};
  return v.u;
#endif
}

__device__ __forceinline__ float toFloat(float x) { return x; }
__device__ __forceinline__ float toFloat(bf16 x) { return bitsToFloat(static_cast<uint32_t>(x.bits) << 16); }

// Two floats rounded to the nearest bf16, ties to even; the first in the low half.
__device__ __forceinline__ uint32_t packBf16(float lo, float hi) {
#ifdef __CUDA_ARCH__
  uint32_t r;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(r) : "f"(hi), "f"(lo));
  return r;
#else
  const float both[2] = {lo, hi};
  uint32_t r = 0;
  for (int i = 0; i < 2; i++) {
    const uint32_t u = floatToBits(both[i]);
    const uint32_t rounded = (u & 0x7fffffffu) > 0x7f800000u ? 0x7fffu : (u + 0x7fffu + ((u >> 16) & 1u)) >> 16;
    r |= rounded << (16 * i);
  }
  return r;
#endif
}

template <class T>
__device__ __forceinline__ T fromFloat(float x);
template <>
__device__ __forceinline__ float fromFloat<float>(float x) {
  return x;
}
template <>
__device__ __forceinline__ bf16 fromFloat<bf16>(float x) {
  bf16 r;
  r.bits = static_cast<uint16_t>(packBf16(x, 0.0f));
  return r;
}

// A product that is rounded before anything is added to it; the compiler would otherwise fuse the two.
__device__ __forceinline__ float roundedProduct(float a, float b) {
#ifdef __CUDA_ARCH__
  return __fmul_rn(a, b);
#else
  const volatile float product = a * b;
  return product;
#endif
}

// 2^x and 1 / x to 2 units in the last place; what is too small for a normal float becomes 0.
__device__ __forceinline__ float fastExp2(float x) {
#ifdef __CUDA_ARCH__
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
#else
  return exp2f(x);
#endif
}
__device__ __forceinline__ float fastReciprocal(float x) {
#ifdef __CUDA_ARCH__
  float y;
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
#else
  return 1.0f / x;
#endif
}

// ---- eight elements at once: 16 bytes of bf16, 32 of float ----------------------------------------------------------

struct alignas(16) Eight {
  float v[8];
};

__device__ __forceinline__ void loadEight(const float* p, float* v) {
  const uint4* q = reinterpret_cast<const uint4*>(p);
  for (int i = 0; i < 2; i++) {
    const uint4 u = q[i];
    v[4 * i] = bitsToFloat(u.x);
    v[4 * i + 1] = bitsToFloat(u.y);
    v[4 * i + 2] = bitsToFloat(u.z);
    v[4 * i + 3] = bitsToFloat(u.w);
  }
}
__device__ __forceinline__ void unpackEight(uint4 u, float* v) {
  const uint32_t words[4] = {u.x, u.y, u.z, u.w};
  for (int i = 0; i < 4; i++) {
    v[2 * i] = bitsToFloat(words[i] << 16);
    v[2 * i + 1] = bitsToFloat(words[i] & 0xffff0000u);
  }
}
__device__ __forceinline__ void loadEight(const bf16* p, float* v) {
  unpackEight(*reinterpret_cast<const uint4*>(p), v);
}
__device__ __forceinline__ void storeEight(float* p, const float* v) {
  uint4* q = reinterpret_cast<uint4*>(p);
  for (int i = 0; i < 2; i++) {
    uint4 u;
    u.x = floatToBits(v[4 * i]);
    u.y = floatToBits(v[4 * i + 1]);
    u.z = floatToBits(v[4 * i + 2]);
    u.w = floatToBits(v[4 * i + 3]);
    q[i] = u;
  }
}
__device__ __forceinline__ void storeEight(bf16* p, const float* v) {
  uint4 u;
  u.x = packBf16(v[0], v[1]);
  u.y = packBf16(v[2], v[3]);
  u.z = packBf16(v[4], v[5]);
  u.w = packBf16(v[6], v[7]);
  *reinterpret_cast<uint4*>(p) = u;
}

// ---- sums over a warp and a block -----------------------------------------------------------------------------------

template <class T>
__device__ __forceinline__ T warpSum(T x) {
  for (int m = 16; m > 0; m >>= 1) x += __shfl_xor_sync(kAllLanes, x, m);
  return x;
}
__device__ __forceinline__ float warpMax(float x) {
  for (int m = 16; m > 0; m >>= 1) x = fmaxf(x, __shfl_xor_sync(kAllLanes, x, m));
  return x;
}

// Every thread gets the sum. The block has at most 1024 threads, full warps; `scratch`, 32 elements, is free after.
template <class T>
__device__ __forceinline__ T blockSum(T x, T* scratch) {
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

// ---- tensor cores and asynchronous copies ---------------------------------------------------------------------------

__device__ __forceinline__ void mma(float* c, const uint32_t* a, const uint32_t* b) {
#ifdef __CUDA_ARCH__
  asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#elif defined(TUNESMITH_EMULATED)
  emulator::mma16816(c, a, b);
#endif
}

template <bool transposed>
__device__ __forceinline__ void loadMatrices(uint32_t* r, const bf16* row) {
#ifdef __CUDA_ARCH__
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
#elif defined(TUNESMITH_EMULATED)
  emulator::loadMatrices(r, row, transposed);
#endif
}

// Copies 16 bytes into shared memory behind the computation, or writes zeros when `valid` is false.
__device__ __forceinline__ void copyAsync16(void* shared, const void* global, bool valid) {
#ifdef __CUDA_ARCH__
  const uint32_t at = static_cast<uint32_t>(__cvta_generic_to_shared(shared));
  const int bytes = valid ? 16 : 0;
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(at), "l"(global), "r"(bytes) : "memory");
#elif defined(TUNESMITH_EMULATED)
  emulator::copyAsync16(shared, global, valid);
#endif
}
__device__ __forceinline__ void commitCopies() {
#ifdef __CUDA_ARCH__
  asm volatile("cp.async.commit_group;" ::: "memory");
#elif defined(TUNESMITH_EMULATED)
  emulator::commitCopies();
#endif
}
// Waits until at most `pending` groups of this thread's copies are under way; a barrier must follow.
template <int pending>
__device__ __forceinline__ void waitCopies() {
#ifdef __CUDA_ARCH__
  asm volatile("cp.async.wait_group %0;" ::"n"(pending) : "memory");
#elif defined(TUNESMITH_EMULATED)
  emulator::waitCopies(pending);
#endif
}

// A barrier of some of the block's warps, by number (1 to 15; 0 is __syncthreads): those that arrive go on at once,
// those that wait do so until `threads` have come, and then see what all of them wrote before.
__device__ __forceinline__ void arriveAt(int barrier, int threads) {
#ifdef __CUDA_ARCH__
  asm volatile("bar.arrive %0, %1;" ::"r"(barrier), "r"(threads) : "memory");
#elif defined(TUNESMITH_EMULATED)
  emulator::arriveAt(barrier, threads);
#endif
}
__device__ __forceinline__ void waitAt(int barrier, int threads) {
#ifdef __CUDA_ARCH__
  asm volatile("bar.sync %0, %1;" ::"r"(barrier), "r"(threads) : "memory");
#elif defined(TUNESMITH_EMULATED)
  emulator::waitAt(barrier, threads);
#endif
}

template <class T>
__device__ __forceinline__ T* dynamicShared() {
#ifdef __CUDACC__
  extern __shared__ __align__(128) unsigned char tunesmithShared[];
  return reinterpret_cast<T*>(tunesmithShared);
#else
  return static_cast<T*>(emulator::dynamicShared());
#endif
}

// ---- launching ------------------------------------------------------------------------------------------------------

// Notes the first error of a launch; the next synchronising call reports it with the kernel's name.
void noteLaunch(const char* name, int error);

#ifdef __CUDACC__
void allowShared(const void* kernel, size_t bytes);

template <class... Parameters, class... Arguments>
void launch(const char* name, void (*kernel)(Parameters...), dim3 grid, dim3 block, size_t shared, Stream stream,
    Arguments... arguments) {
  const LaunchScope scope(name, stream);
  if (shared > 48 * 1024) allowShared(reinterpret_cast<const void*>(kernel), shared);
  kernel<<<grid, block, shared, static_cast<cudaStream_t>(stream)>>>(static_cast<Parameters>(arguments)...);
  noteLaunch(name, static_cast<int>(cudaGetLastError()));
}
#else
template <class... Parameters, class... Arguments>
void launch(const char* name, void (*kernel)(Parameters...), dim3 grid, dim3 block, size_t shared, Stream stream,
    Arguments... arguments) {
  const LaunchScope scope(name, stream);
  // By value, as a launch takes its parameters: it may run long after.
  emulator::submit(stream, [=] {
    auto body = [&] { kernel(static_cast<Parameters>(arguments)...); };
    using Body = decltype(body);
    emulator::run(name, grid, block, shared, [](void* context) { (*static_cast<const Body*>(context))(); }, &body);
  });
}
#endif

}  // namespace tunesmith::cuda
