// Picking a kernel's element type and width: storage type at run time becomes a template argument.
#pragma once
#include <type_traits>

#include "portable.h"

namespace tunesmith::cuda {

// V elements as floats; V is 8 (aligned) or 1.
template <int V, class T> __device__ __forceinline__ void load(const T* p, float* v) {
  if constexpr (V == 8)
    loadEight(p, v);
  else
    v[0] = toFloat(p[0]);
}
template <int V, class T> __device__ __forceinline__ void store(T* p, const float* v) {
  if constexpr (V == 8)
    storeEight(p, v);
  else
    p[0] = fromFloat<T>(v[0]);
}

// Calls f(A()) or f(B()).
template <class A, class B, class F> void either(bool first, F f) {
  if (first)
    f(A());
  else
    f(B());
}
// Calls f with x, which is one of `values`, as a constant.
template <auto... values, class X, class F> void withConstant(X x, F f) {
  ((x == values ? f(std::integral_constant<decltype(values), values>()) : void()), ...);
}

// Calls f(T(), integral_constant<int, V>()) with T the storage type and V 8 when `wide`, else 1.
template <class F> void dispatch(Type type, bool wide, F f) {
  either<bf16, float>(type == Type::bf16, [&](auto t) { withConstant<1, 8>(wide ? 8 : 1, [&](auto v) { f(t, v); }); });
}

template <class T> inline T* as(Array a) { return static_cast<T*>(a.data); }

}  // namespace tunesmith::cuda
