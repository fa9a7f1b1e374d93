// RMSNorm, rotary embedding and the gated activation, forward and backward. All are bound by memory: one pass, 16-byte
// accesses where the width allows (V = 8), float32 inside.
#include "kernels.h"
#include "vector.h"

namespace tunesmith::cuda {
namespace {

// 1 / sqrt(mean(x^2) + eps) of a block's row.
template <int V, class T>
__device__ __forceinline__ float inverseRms(const T* x, int64_t h, float eps, float* scratch) {
  float sum = 0;
  for (int64_t i = threadIdx.x * V; i < h; i += blockDim.x * V) {
    float v[V];
    load<V>(x + i, v);
    for (int j = 0; j < V; j++) sum += v[j] * v[j];
  }
  return rsqrtf(blockSum(sum, scratch) / static_cast<float>(h) + eps);
}

template <class T, int V>
__global__ void rmsNormKernel(const T* x, const float* w, T* y, int64_t h, float eps, float offset) {
  __shared__ float scratch[32];
  const int64_t row = blockIdx.x;
  const T* xr = x + row * h;
  const float r = inverseRms<V>(xr, h, eps, scratch);
  for (int64_t i = threadIdx.x * V; i < h; i += blockDim.x * V) {
    float v[V], scale[V];
    load<V>(xr + i, v);
    load<V>(w + i, scale);
    for (int j = 0; j < V; j++) v[j] = v[j] * r * (offset + scale[j]);
    store<V>(y + row * h + i, v);
  }
}

// dx = addend + r (dy w - x r^2 mean(dy w x)); the addend may be null, or dx itself.
template <class T, int V>
__global__ void rmsNormGradKernel(
    const T* dy, const T* x, const float* w, const T* addend, T* dx, int64_t h, float eps, float offset) {
  __shared__ float scratch[32];
  const int64_t row = blockIdx.x;
  const T *xr = x + row * h, *dr = dy + row * h;
  float squares = 0, along = 0;
  for (int64_t i = threadIdx.x * V; i < h; i += blockDim.x * V) {
    float v[V], d[V], scale[V];
    load<V>(xr + i, v);
    load<V>(dr + i, d);
    load<V>(w + i, scale);
    for (int j = 0; j < V; j++) {
      squares += v[j] * v[j];
      along += d[j] * (offset + scale[j]) * v[j];
    }
  }
  squares = blockSum(squares, scratch);
  along = blockSum(along, scratch);
  const float r = rsqrtf(squares / static_cast<float>(h) + eps);
  const float pull = along * r * r / static_cast<float>(h);
  for (int64_t i = threadIdx.x * V; i < h; i += blockDim.x * V) {
    float v[V], d[V], scale[V];
    load<V>(xr + i, v);
    load<V>(dr + i, d);
    load<V>(w + i, scale);
    for (int j = 0; j < V; j++) v[j] = r * (d[j] * (offset + scale[j]) - v[j] * pull);
    if (addend) {
      load<V>(addend + row * h + i, d);
      for (int j = 0; j < V; j++) v[j] += d[j];
    }
    store<V>(dx + row * h + i, v);
  }
}

template <class T, int V> __global__ void inverseRmsKernel(const T* x, float* inverse, int64_t h, float eps) {
  __shared__ float scratch[32];
  const float r = inverseRms<V>(x + blockIdx.x * h, h, eps, scratch);
  if (threadIdx.x == 0) inverse[blockIdx.x] = r;
}

// partial[split, column] = sum over the split's rows of dy x r; a thread owns a column, neighbours read neighbours.
template <class T>
__global__ void weightGradPartKernel(
    const T* dy, const T* x, const float* inverse, float* partial, int64_t tokens, int64_t h, int64_t perSplit) {
  const int64_t column = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  const int64_t first = blockIdx.y * perSplit, end = first + perSplit < tokens ? first + perSplit : tokens;
  if (column >= h) return;
  float sum = 0;
  for (int64_t t = first; t < end; t++) sum += toFloat(dy[t * h + column]) * toFloat(x[t * h + column]) * inverse[t];
  partial[blockIdx.y * h + column] = sum;
}

__global__ void addSplitsKernel(const float* partial, float* y, int64_t splits, int64_t h) {
  const int64_t column = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (column >= h) return;
  float sum = 0;
  for (int64_t i = 0; i < splits; i++) sum += partial[i * h + column];
  y[column] = sum;
}

// V pairs (i, i + rotaryDim / 2) a thread; the first thread group of a head also copies what is not rotated.
template <class T, int V>
__global__ void rotaryKernel(const T* x, const float* cosines, const float* sines, T* y, int64_t items, int64_t heads,
    int64_t headDim, int64_t half, float sign) {
  const int64_t perHead = half / V;
  eachItem(items, [&](int64_t i) {
    const int64_t at = i % perHead * V, head = i / perHead, token = head / heads;
    const int64_t base = head * headDim + at;
    float a[V], b[V], c[V], s[V];
    load<V>(x + base, a);
    load<V>(x + base + half, b);
    load<V>(cosines + token * half + at, c);
    load<V>(sines + token * half + at, s);
    for (int j = 0; j < V; j++) {
      const float sine = sign * s[j], left = a[j] * c[j] - b[j] * sine;
      b[j] = b[j] * c[j] + a[j] * sine;
      a[j] = left;
    }
    store<V>(y + base, a);
    store<V>(y + base + half, b);
    if (at == 0)
      for (int64_t d = 2 * half; d < headDim; d++) y[head * headDim + d] = x[head * headDim + d];
  });
}

// The activation's value, and its slope in `slope`.
__device__ __forceinline__ float activate(float g, bool gelu, float& slope) {
  if (gelu) {
    const float c = 0.7978845608028654f, square = g * g;
    const float t = tanhf(c * g * (1.0f + 0.044715f * square));
    slope = 0.5f * (1.0f + t) + 0.5f * g * (1.0f - t * t) * c * (1.0f + 3.0f * 0.044715f * square);
    return 0.5f * g * (1.0f + t);
  }
  const float sigmoid = 1.0f / (1.0f + expf(-g));
  slope = sigmoid * (1.0f + g * (1.0f - sigmoid));
  return g * sigmoid;
}

template <class T, int V> __global__ void swigluKernel(const T* gate, const T* up, T* y, int64_t n, bool gelu) {
  eachItem<V>(n, [&](int64_t i) {
    float g[V], u[V];
    load<V>(gate + i, g);
    load<V>(up + i, u);
    for (int j = 0; j < V; j++) {
      float slope;
      g[j] = activate(g[j], gelu, slope) * u[j];
    }
    store<V>(y + i, g);
  });
}

// dgate and dup may be gate and up themselves: every element is read before it is written, by the same thread.
template <class T, int V>
__global__ void swigluGradKernel(const T* dy, const T* gate, const T* up, T* dgate, T* dup, int64_t n, bool gelu) {
  eachItem<V>(n, [&](int64_t i) {
    float d[V], g[V], u[V];
    load<V>(dy + i, d);
    load<V>(gate + i, g);
    load<V>(up + i, u);
    for (int j = 0; j < V; j++) {
      float slope;
      const float value = activate(g[j], gelu, slope);
      g[j] = d[j] * u[j] * slope;
      u[j] = d[j] * value;
    }
    store<V>(dgate + i, g);
    store<V>(dup + i, u);
  });
}

}  // namespace

void rmsNorm(Stream s, Array x, const float* w, Array y, int64_t tokens, int64_t h, float eps, float offset) {
  if (tokens == 0) return;
  dispatch(x.type, h % 8 == 0, [&](auto type, auto width) {
    using T = decltype(type);
    launch("rmsNorm", rmsNormKernel<T, width.value>, overRows(tokens, h), s, as<T>(x), w, as<T>(y), h, eps, offset);
  });
}

void rmsNormGrad(Stream s, Array dy, Array x, const float* w, Array addend, Array dx, int64_t tokens, int64_t h,
    float eps, float offset) {
  if (tokens == 0) return;
  dispatch(x.type, h % 8 == 0, [&](auto type, auto width) {
    using T = decltype(type);
    launch("rmsNormGrad", rmsNormGradKernel<T, width.value>, overRows(tokens, h), s, as<T>(dy), as<T>(x), w,
        as<T>(addend), as<T>(dx), h, eps, offset);
  });
}

void rmsNormWeightGrad(Stream s, Array dy, Array x, float* dw, float* partial, int64_t tokens, int64_t h, float eps) {
  const int64_t splits = columnSplits(tokens, h), perSplit = ceilDiv(tokens, splits);
  float* inverse = partial + splits * h;
  const dim3 columns(static_cast<unsigned>(ceilDiv(h, 128)));
  if (tokens > 0)
    dispatch(x.type, h % 8 == 0, [&](auto type, auto width) {
      using T = decltype(type);
      launch("inverseRms", inverseRmsKernel<T, width.value>, overRows(tokens, h), s, as<T>(x), inverse, h, eps);
    });
  dispatch(x.type, false, [&](auto type, auto) {
    using T = decltype(type);
    launch("rmsNormWeightGrad", weightGradPartKernel<T>, dim3(columns.x, static_cast<unsigned>(splits)), dim3(128), 0,
        s, as<T>(dy), as<T>(x), inverse, partial, tokens, h, perSplit);
  });
  launch("addSplits", addSplitsKernel, columns, dim3(128), 0, s, partial, dw, splits, h);
}

void rotaryEmbedding(Stream s, Array x, const float* cos, const float* sin, Array y, int64_t tokens, int64_t heads,
    int64_t headDim, int64_t rotaryDim, bool inverse) {
  const int64_t half = rotaryDim / 2;
  if (tokens * heads * half == 0) return;
  const bool wide = half % 8 == 0 && headDim % 8 == 0;
  dispatch(x.type, wide, [&](auto type, auto width) {
    using T = decltype(type);
    const int64_t items = tokens * heads * (half / width.value);
    launch("rotaryEmbedding", rotaryKernel<T, width.value>, overItems(items), s, as<T>(x), cos, sin, as<T>(y), items,
        heads, headDim, half, inverse ? -1.0f : 1.0f);
  });
}

void swiglu(Stream s, Array gate, Array up, Array y, int64_t n, Activation activation) {
  if (n == 0) return;
  dispatch(gate.type, n % 8 == 0, [&](auto type, auto width) {
    using T = decltype(type);
    launch("swiglu", swigluKernel<T, width.value>, overItems(ceilDiv(n, width.value)), s, as<T>(gate), as<T>(up),
        as<T>(y), n, activation == Activation::geluTanh);
  });
}

void swigluGrad(Stream s, Array dy, Array gate, Array up, Array dgate, Array dup, int64_t n, Activation activation) {
  if (n == 0) return;
  dispatch(gate.type, n % 8 == 0, [&](auto type, auto width) {
    using T = decltype(type);
    launch("swigluGrad", swigluGradKernel<T, width.value>, overItems(ceilDiv(n, width.value)), s, as<T>(dy),
        as<T>(gate), as<T>(up), as<T>(dgate), as<T>(dup), n, activation == Activation::geluTanh);
  });
}

}  // namespace tunesmith::cuda
