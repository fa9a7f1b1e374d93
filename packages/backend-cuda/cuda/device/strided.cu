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
  eachItem(n, [&](int64_t i) {
    int64_t at[2];
    locate<Index, 2>(e, operands, i, at);
    Number u, v;
    first.read(at[0], u);
    second.read(at[1], v);
    y.write(i, apply(op, u, v));
  });
}

template <class Number, class Index>
__global__ void stridedSelectKernel(Extent e, Strided c, Strided a, Strided b, Any y, int64_t n) {
  const Any condition = {c.array.data, c.array.type}, first = {a.array.data, a.array.type},
            second = {b.array.data, b.array.type};
  const Strided* operands[3] = {&c, &a, &b};
  eachItem(n, [&](int64_t i) {
    int64_t at[3];
    locate<Index, 3>(e, operands, i, at);
    Number value;
    if (condition.get(at[0]) != 0)
      first.read(at[1], value);
    else
      second.read(at[2], value);
    y.write(i, value);
  });
}

template <class Word, class Index> __global__ void stridedCopyKernel(Extent e, Strided x, Strided y, int64_t n) {
  const Strided* operands[2] = {&x, &y};
  eachItem(n, [&](int64_t i) {
    int64_t at[2];
    locate<Index, 2>(e, operands, i, at);
    static_cast<Word*>(y.array.data)[at[1]] = static_cast<const Word*>(x.array.data)[at[0]];
  });
}

// Calls f(Index()).
template <class F> void dispatchIndex(int64_t n, F f) { either<uint32_t, int64_t>(n <= 0x7fffffff, f); }

bool integers(Array a, Array b) { return a.type == Type::i32 && b.type == Type::i32; }

}  // namespace

void stridedBinary(Stream s, Binary op, const Extent& e, const Strided& a, const Strided& b, Array y) {
  const int64_t n = e.count();
  if (n == 0) return;
  either<int32_t, float>(integers(a.array, b.array), [&](auto number) {
    dispatchIndex(n, [&](auto index) {
      launch("stridedBinary", stridedBinaryKernel<decltype(number), decltype(index)>, overItems(n), s, op, e, a, b,
          any(y), n);
    });
  });
}

void stridedSelect(Stream s, const Extent& e, const Strided& condition, const Strided& a, const Strided& b, Array y) {
  const int64_t n = e.count();
  if (n == 0) return;
  either<int32_t, float>(integers(a.array, b.array), [&](auto number) {
    dispatchIndex(n, [&](auto index) {
      launch("select", stridedSelectKernel<decltype(number), decltype(index)>, overItems(n), s, e, condition, a, b,
          any(y), n);
    });
  });
}

void stridedCopy(Stream s, const Extent& e, const Strided& x, const Strided& y) {
  const int64_t n = e.count();
  if (n == 0) return;
  dispatchIndex(n, [&](auto index) {
    either<uint16_t, uint32_t>(bytesOf(x.array.type) == 2, [&](auto word) {
      launch("stridedCopy", stridedCopyKernel<decltype(word), decltype(index)>, overItems(n), s, e, x, y, n);
    });
  });
}

}  // namespace tunesmith::cuda
