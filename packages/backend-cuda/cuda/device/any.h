// Arrays whose storage type is looked at for each element: all threads agree, so it costs no divergence.
#pragma once
#include "../host/launch_geometry.h"
#include "kernels.h"
#include "vector.h"

namespace tunesmith::cuda {

// Towards zero, as JavaScript's arrays of integers round; what does not fit is the nearest that does, NaN is 0.
__host__ __device__ __forceinline__ int32_t toInt(float x) {
  if (!(x > -2147483648.0f)) return x != x ? 0 : -2147483647 - 1;
  return x < 2147483648.0f ? static_cast<int32_t>(x) : 2147483647;
}

struct Any {
  void* data;
  Type type;
  __device__ __forceinline__ float get(int64_t i) const {
    if (type == Type::bf16) return toFloat(static_cast<const bf16*>(data)[i]);
    if (type == Type::i32) return static_cast<float>(static_cast<const int32_t*>(data)[i]);
    return static_cast<const float*>(data)[i];
  }
  __device__ __forceinline__ void set(int64_t i, float x) const {
    if (type == Type::bf16)
      static_cast<bf16*>(data)[i] = fromFloat<bf16>(x);
    else if (type == Type::i32)
      static_cast<int32_t*>(data)[i] = toInt(x);
    else
      static_cast<float*>(data)[i] = x;
  }
  // In the type a kernel computes with: int32 keeps its bits, which a float would not.
  __device__ __forceinline__ void read(int64_t i, float& x) const { x = get(i); }
  __device__ __forceinline__ void read(int64_t i, int32_t& x) const { x = static_cast<const int32_t*>(data)[i]; }
  // Both kinds of number exactly.
  __device__ __forceinline__ void read(int64_t i, double& x) const {
    x = type == Type::i32 ? static_cast<double>(static_cast<const int32_t*>(data)[i]) : static_cast<double>(get(i));
  }
  __device__ __forceinline__ void write(int64_t i, float x) const { set(i, x); }
  __device__ __forceinline__ void write(int64_t i, int32_t x) const {
    if (type == Type::i32)
      static_cast<int32_t*>(data)[i] = x;
    else
      set(i, static_cast<float>(x));
  }
};
inline Any any(Array a) { return {a.data, a.type}; }

}  // namespace tunesmith::cuda
