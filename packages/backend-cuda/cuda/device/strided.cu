// The plain operations over operands of any strides: every broadcast, transposition, slice with steps, repetition.
#include "arithmetic.h"

namespace tunesmith::cuda {
namespace {

// Where element i of the extent lies in each of several operands. Index is 32 bits wide where that is enough: a
// division of 64 bits takes several times as long.
template <class Index, int operands>
__device__ __forceinline__ void locate(const Extent& e, const Strided* const* x, int64_t i, int64_t* at) {
  for (int o = 0; o < operands; o++) at[o] = 0;
  Index rest = static_cast<Index>(i);
// Unrolled for all ranks: an index that is only known at run time would put the parameters into local memory.
#pragma unroll
  for (int d = kMaxRank - 1; d >= 0; d--) {
    if (d >= e.rank) continue;
    const Index size = static_cast<Index>(e.sizes[d]);
    const Index next = rest / size;
    const int64_t place = static_cast<int64_t>(rest - next * size);
#pragma unroll
    for (int o = 0; o < operands; o++) at[o] += place * x[o]->strides[d];
    rest = next;
  }
}

template <class Number, class Index>
__global__ void stridedBinaryKernel(Binary op, Extent e, Strided a, Strided b, Any y, int64_t n) {
  const Any first = {a.array.data, a.array.type}, second = {b.array.data, b.array.type};
  const Strided* operands[2] = {&a, &b};
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < n;
      i += static_cast<int64_t>(gridDim.x) * blockDim.x) {
    int64_t at[2];
    locate<Index, 2>(e, operands, i, at);
    Number u, v;
    first.read(at[0], u);
    second.read(at[1], v);
    y.write(i, apply(op, u, v));
  }
}

template <class Number, class Index>
__global__ void stridedSelectKernel(Extent e, Strided c, Strided a, Strided b, Any y, int64_t n) {
  const Any condition = {c.array.data, c.array.type}, first = {a.array.data, a.array.type},
            second = {b.array.data, b.array.type};
  const Strided* operands[3] = {&c, &a, &b};
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < n;
      i += static_cast<int64_t>(gridDim.x) * blockDim.x) {
    int64_t at[3];
    locate<Index, 3>(e, operands, i, at);
    Number value;
    if (condition.get(at[0]) != 0)
      first.read(at[1], value);
    else
      second.read(at[2], value);
    y.write(i, value);
  }
}

template <class Word, class Index>
__global__ void stridedCopyKernel(Extent e, Strided x, Strided y, int64_t n) {
  const Strided* operands[2] = {&x, &y};
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < n;
      i += static_cast<int64_t>(gridDim.x) * blockDim.x) {
    int64_t at[2];
    locate<Index, 2>(e, operands, i, at);
    static_cast<Word*>(y.array.data)[at[1]] = static_cast<const Word*>(x.array.data)[at[0]];
  }
}

template <class F>
void dispatchIndex(int64_t n, F f) {
  if (n <= 0x7fffffff)
    f(uint32_t());
  else
    f(int64_t());
}

bool integers(Array a, Array b) { return a.type == Type::i32 && b.type == Type::i32; }

}  // namespace

void stridedBinary(Stream s, Binary op, const Extent& e, const Strided& a, const Strided& b, Array y) {
  const int64_t n = e.count();
  if (n == 0) return;
  const Geometry g = overItems(n);
  dispatchNumber(integers(a.array, b.array), [&](auto number) {
    dispatchIndex(n, [&](auto index) {
      launch("stridedBinary", stridedBinaryKernel<decltype(number), decltype(index)>, dim3(g.blocks), dim3(g.threads),
          0, s, op, e, a, b, any(y), n);
    });
  });
}

void stridedSelect(Stream s, const Extent& e, const Strided& condition, const Strided& a, const Strided& b, Array y) {
  const int64_t n = e.count();
  if (n == 0) return;
  const Geometry g = overItems(n);
  dispatchNumber(integers(a.array, b.array), [&](auto number) {
    dispatchIndex(n, [&](auto index) {
      launch("select", stridedSelectKernel<decltype(number), decltype(index)>, dim3(g.blocks), dim3(g.threads), 0, s, e,
          condition, a, b, any(y), n);
    });
  });
}

void stridedCopy(Stream s, const Extent& e, const Strided& x, const Strided& y) {
  const int64_t n = e.count();
  if (n == 0) return;
  const Geometry g = overItems(n);
  dispatchIndex(n, [&](auto index) {
    using Index = decltype(index);
    if (bytesOf(x.array.type) == 2)
      launch("stridedCopy", stridedCopyKernel<uint16_t, Index>, dim3(g.blocks), dim3(g.threads), 0, s, e, x, y, n);
    else
      launch("stridedCopy", stridedCopyKernel<uint32_t, Index>, dim3(g.blocks), dim3(g.threads), 0, s, e, x, y, n);
  });
}

}  // namespace tunesmith::cuda
