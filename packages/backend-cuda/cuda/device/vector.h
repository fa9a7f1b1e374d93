// Picking a kernel's element type and width: storage type at run time becomes a template argument.
#pragma once
#include <type_traits>

#include "portable.h"

namespace tunesmith::cuda {

// V elements as floats; V is 8 (aligned) or 1.
template <int V, class T>
__device__ __forceinline__ void load(const T* p, float* v) {
  if constexpr (V == 8)
    loadEight(p, v);
  else
    v[0] = toFloat(p[0]);
}
template <int V, class T>
__device__ __forceinline__ void store(T* p, const float* v) {
  if constexpr (V == 8)
    storeEight(p, v);
  else
    p[0] = fromFloat<T>(v[0]);
}

// Calls f(T(), integral_constant<int, V>()) with T the storage type and V 8 when `wide`, else 1.
template <class F>
inline void dispatch(Type type, bool wide, F f) {
  using One = std::integral_constant<int, 1>;
  using EightWide = std::integral_constant<int, 8>;
  if (type == Type::bf16) {
    if (wide)
      f(bf16(), EightWide());
    else
      f(bf16(), One());
  } else {
    if (wide)
      f(float(), EightWide());
    else
      f(float(), One());
  }
}

template <class T>
inline T* as(Array a) {
  return static_cast<T*>(a.data);
}

}  // namespace tunesmith::cuda
