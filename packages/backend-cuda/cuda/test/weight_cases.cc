// Weights in every format: expanded, multiplied with a few rows, looked up; the embedding's gradient; dropout.
#include <algorithm>
#include <numeric>

#include "lab.h"

namespace tunesmith::cuda {
namespace {

constexpr Format kFormats[] = {Format::f32, Format::bf16, Format::f16, Format::nf4, Format::int8};

// Widths that eights divide, and others.
WeightSample randomWeight(Lab& lab, Format format, int round) {
  const int64_t rows = lab.random.integer(1, 40),
                cols = round % 2 ? 8 * lab.random.integer(1, 70) : lab.random.integer(1, 90);
  const int64_t blockSize = round % 2 ? 8 << lab.random.integer(0, 4) : lab.random.integer(1, 40);
  return WeightSample(lab, format, rows, cols, blockSize, static_cast<Rounding>(lab.random.integer(0, 2)));
}
std::string nameOf(const Weight& w, Type type) {
  static const char* const names[] = {"f32", "bf16", "f16", "nf4", "int8"};
  return std::string(names[static_cast<int>(w.format)]) + " [" + std::to_string(w.rows) + ", " +
      std::to_string(w.cols) + "] to " + cuda::nameOf(type);
}
// Rounding once, of values that the reference has exactly.
double onceOf(Type type) { return type == Type::bf16 ? 1.0 / 256 : 1e-7; }

void expansion(Lab& lab) {
  for (Format format : kFormats)
    for (Type type : kFloatTypes)
      for (int round = 0; round < 3; round++) {
        const WeightSample weight = randomWeight(lab, format, round);
        const Weight& w = weight.w;
        const int64_t first = lab.random.integer(0, w.rows - 1), end = lab.random.integer(first, w.rows);
        const DeviceArray y(lab, (end - first) * w.cols, type, Content::output);
        dequantize(lab.stream, w, first, end, y);
        compare(lab, "dequantize " + nameOf(w, type), y.now(),
            {weight.values.begin() + first * w.cols, weight.values.begin() + end * w.cols}, onceOf(type));

        const int64_t tokens = lab.random.integer(1, 20);
        std::vector<int32_t> ids;
        std::vector<double> want;
        for (int64_t t = 0; t < tokens; t++) {
          ids.push_back(static_cast<int32_t>(lab.random.integer(0, w.rows - 1)));
          for (int64_t i = 0; i < w.cols; i++)
            want.push_back(weight.values[static_cast<size_t>(ids.back() * w.cols + i)]);
        }
        const DeviceArray index(lab, ids), rows(lab, tokens * w.cols, type, Content::output);
        embeddingLookup(lab.stream, w, index.ints(), rows, tokens);
        compare(lab, "embeddingLookup " + nameOf(w, type), rows.now(), want, onceOf(type));
      }
}

void embeddingBack(Lab& lab) {
  for (Type type : kFloatTypes) {
    const int64_t tokens = lab.random.integer(1, 50), vocab = lab.random.integer(1, 30), h = lab.random.integer(1, 300);
    std::vector<int32_t> ids, order(static_cast<size_t>(tokens)), starts;
    for (int64_t t = 0; t < tokens; t++) ids.push_back(static_cast<int32_t>(lab.random.integer(0, vocab - 1)));
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(),
        [&](int32_t a, int32_t b) { return ids[static_cast<size_t>(a)] < ids[static_cast<size_t>(b)]; });
    for (size_t i = 0; i < order.size(); i++)
      if (i == 0 || ids[static_cast<size_t>(order[i])] != ids[static_cast<size_t>(order[i - 1])])
        starts.push_back(static_cast<int32_t>(i));
    const int64_t distinct = static_cast<int64_t>(starts.size());
    starts.push_back(static_cast<int32_t>(tokens));
    const DeviceArray dy(lab, tokens * h, type), index(lab, ids), sorted(lab, order), bounds(lab, starts),
        dw(lab, vocab * h, Type::f32, Content::zero);
    embeddingGrad(lab.stream, dy, index.ints(), sorted.ints(), bounds.ints(), distinct, dw.floats(), h);
    std::vector<double> want(static_cast<size_t>(vocab * h));
    for (int64_t t = 0; t < tokens; t++)
      for (int64_t i = 0; i < h; i++) want[static_cast<size_t>(ids[static_cast<size_t>(t)] * h + i)] += dy[t * h + i];
    compare(lab, nameOf(type), dw.now(), want, 1e-5);
  }
}

void decoding(Lab& lab) {
  for (Format format : kFormats)
    for (Type type : kFloatTypes)
      for (int64_t m = 1; m <= kDecodeRows; m++) {
        const WeightSample weight = randomWeight(lab, format, static_cast<int>(m + lab.random.integer(0, 1)));
        const Weight& w = weight.w;
        const int rank = static_cast<int>(lab.random.integer(1, 40));
        const bool withBias = lab.random.coin(), withLora = lab.random.coin();
        const DeviceArray x(lab, m * w.cols, type), bias(lab, w.rows, type), xa(lab, m * rank, type),
            b(lab, w.rows * rank, type), y(lab, m * w.rows, type, Content::output);
        decodeLinear(lab.stream, w, x, withBias ? Array(bias) : Array(), withLora ? Array(xa) : Array(),
            withLora ? Array(b) : Array(), withLora ? rank : 0, 0.5f, y, m);
        std::vector<double> want;
        double largest = 0, terms = 0;
        for (int64_t k = 0; k < m; k++)
          for (int64_t r = 0; r < w.rows; r++) {
            double sum = withBias ? bias[r] : 0, size = 0;
            for (int64_t i = 0; i < w.cols; i++) {
              const double term = weight.values[static_cast<size_t>(r * w.cols + i)] * x[k * w.cols + i];
              sum += term;
              size += std::fabs(term);
            }
            for (int i = 0; withLora && i < rank; i++) sum += 0.5 * xa[k * rank + i] * b[r * rank + i];
            want.push_back(sum);
            largest = std::max(largest, std::fabs(sum));
            terms = std::max(terms, size);
          }
        // A sum that cancels keeps the error of its terms.
        compare(lab, std::to_string(m) + " rows of " + nameOf(w, type), y.now(), want,
            toleranceOf(type) + 1e-6 * terms / std::max(largest, 1e-30));
      }
}

// The sizes of models: columns in 64s and blocks of quantization that hold them, which tensor cores take in bf16.
void decodingModels(Lab& lab) {
  for (int64_t m = 1; m <= kDecodeRows; m++)
    for (int64_t cols : {int64_t{64}, 64 * lab.random.integer(2, 20)}) {
      const int64_t rows = lab.random.integer(1, 50), rank = lab.random.integer(1, 20);
      const WeightSample weight(lab, Format::nf4, rows, cols, int64_t{64} << lab.random.integer(0, 2));
      const DeviceArray x(lab, m * cols, Type::bf16), bias(lab, rows, Type::bf16), xa(lab, m * rank, Type::bf16),
          b(lab, rows * rank, Type::bf16), y(lab, m * rows, Type::bf16, Content::output);
      decodeLinear(lab.stream, weight.w, x, bias, xa, b, static_cast<int>(rank), 0.5f, y, m);
      std::vector<double> want;
      for (int64_t k = 0; k < m; k++)
        for (int64_t r = 0; r < rows; r++) {
          double sum = bias[r];
          for (int64_t i = 0; i < cols; i++) sum += weight.values[static_cast<size_t>(r * cols + i)] * x[k * cols + i];
          for (int64_t i = 0; i < rank; i++) sum += 0.5 * xa[k * rank + i] * b[r * rank + i];
          want.push_back(sum);
        }
      compare(lab, std::to_string(m) + " rows of NF4 " + std::to_string(rows) + " x " + std::to_string(cols), y.now(),
          want, toleranceOf(Type::bf16));
    }
}

void drops(Lab& lab) {
  for (Type type : kFloatTypes)
    for (bool eights : {false, true}) {
      const int64_t n = eights ? 8 * lab.random.integer(1, 300) : lab.random.integer(1, 2000);
      Dropout d;
      d.on = true;
      d.seed = static_cast<uint32_t>(lab.random.integer(0, 4294967295));
      d.threshold = static_cast<uint32_t>(lab.random.integer(0, 4294967295));
      d.keepScale = 1.5f;
      const DeviceArray x(lab, n, type), y(lab, n, type, Content::output);
      dropout(lab.stream, x, y, n, d);
      std::vector<double> want;
      for (int64_t i = 0; i < n; i++) {
        uint32_t h = static_cast<uint32_t>(i) + d.seed * 0x9e3779b9u;
        h = (h ^ h >> 16) * 0x7feb352du;
        h = (h ^ h >> 15) * 0x846ca68bu;
        want.push_back((h ^ h >> 16) >= d.threshold ? x[i] * 1.5 : 0);
      }
      compare(lab, std::string(nameOf(type)) + " of " + std::to_string(n), y.now(), want, onceOf(type));
    }
}

const AddCases kAdded = {{{"dequantize", "embeddingLookup"}, expansion}, {{"embeddingGrad"}, embeddingBack},
    {{"decodeLinear"}, decoding}, {{"decodeLinear"}, decodingModels}, {{"dropout"}, drops}};

}  // namespace
}  // namespace tunesmith::cuda
