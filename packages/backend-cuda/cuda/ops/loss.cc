// The head and its loss in chunks of labelled rows, the embedding's gradient, the norm of gradients.
#include <algorithm>
#include <numeric>

#include "../host/failure.h"
#include "../host/launch_geometry.h"
#include "operations.h"

namespace tunesmith::cuda {

void crossEntropy(Context& c, const CrossEntropy& p) {
  const int64_t vocab = p.weight.rows, h = p.weight.cols;
  std::vector<int32_t> rows;
  for (int64_t t = 0; t < p.tokens; t++) {
    if (p.hostLabels[t] >= vocab)
      throw Failure("invalid_data", "LinearCrossEntropy: expected labels inside the vocabulary");
    if (p.hostLabels[t] >= 0) rows.push_back(static_cast<int32_t>(t));
  }
  for (float* y : {p.rows.nll, p.rows.entropy, p.rows.correct}) fill(c.stream, {y, Type::f32}, 0, p.tokens);
  if (p.dHidden) fill(c.stream, p.dHidden, 0, p.tokens * h);
  if (p.dWeight) fill(c.stream, p.dWeight, 0, vocab * h);
  const int64_t count = static_cast<int64_t>(rows.size());
  if (count == 0 || vocab == 0) return fill(c.stream, {p.lossSum, Type::f32}, 0, 1);

  const Operand hidden(c, p.hidden, p.tokens * h, c.type);
  const Operand bias(c, p.bias, vocab, Type::f32);
  const Expanded weight(c, p.weight);
  const bool gradient = p.dHidden || p.dWeight;
  const int64_t chunk = logitRows(count, vocab, 4);
  const Temp index = upload(c, rows);
  const Temp x(c, chunk * h, c.type), logits(c, chunk * vocab, Type::f32), dx(c, p.dHidden ? chunk * h : 1, c.type);
  for (int64_t first = 0; first < count; first += chunk) {
    const int64_t some = std::min(chunk, count - first);
    LossRows l = p.rows;
    l.rows = index.ints() + first;
    l.count = some;
    l.vocab = vocab;
    gatherRows(c.stream, hidden, l.rows, x.array(), some, h);
    GemmCall forward = product(some, vocab, h, x.array(), false, weight, true, logits.array());
    forward.bias = bias.floats();
    if (h > 0) c.multiply(forward);
    softmaxLoss(c.stream, logits.floats(), l, gradient, c.type);
    // The gradient lies in the logits' memory, in rows of their length.
    const Array slope = {logits.array().data, c.type};
    const int64_t apart = vocab * static_cast<int64_t>(sizeof(float) / bytesOf(c.type));
    if (p.dHidden && h > 0) {
      GemmCall forX = product(some, h, vocab, slope, false, weight, false, dx.array());
      forX.lda = apart;
      c.multiply(forX);
      scatterRows(c.stream, dx.array(), l.rows, p.dHidden, some, h);
    }
    if (p.dWeight && h > 0) {
      GemmCall forW = product(vocab, h, some, slope, true, x.array(), false, p.dWeight);
      forW.lda = apart;
      forW.beta = 1;
      c.multiply(forW);
    }
  }
  sumInDouble(c.stream, p.rows.nll, p.tokens, p.lossSum);
}

void embeddingGradient(Context& c, Array dy, const int32_t* ids, const int32_t* hostIds, int64_t tokens, int64_t vocab,
    int64_t h, Array dw) {
  fill(c.stream, dw, 0, vocab * h);
  if (tokens == 0) return;
  std::vector<int32_t> order(static_cast<size_t>(tokens)), starts;
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int32_t a, int32_t b) { return hostIds[a] < hostIds[b]; });
  for (size_t i = 0; i < order.size(); i++) {
    const int32_t id = hostIds[order[i]];
    if (id < 0 || id >= vocab) throw Failure("invalid_data", "EmbeddingGrad: expected ids inside the table");
    if (i == 0 || hostIds[order[i - 1]] != id) starts.push_back(static_cast<int32_t>(i));
  }
  const int64_t distinct = static_cast<int64_t>(starts.size());
  starts.push_back(static_cast<int32_t>(tokens));
  const Temp o = upload(c, order), s = upload(c, starts);
  embeddingGrad(c.stream, dy, ids, o.ints(), s.ints(), distinct, static_cast<float*>(dw.data), h);
}

void gradNorm(Context& c, const std::vector<std::pair<Array, int64_t>>& grads, float* norm) {
  std::vector<NormTensor> tensors[2];
  int64_t parts = 0;
  for (const auto& [x, n] : grads) {
    tensors[x.type == Type::bf16].push_back({x.data, n});
    parts += normParts({x.data, n});
  }
  const Temp partial(c, std::max<int64_t>(parts * 2, 1), Type::f32);
  double* sums = static_cast<double*>(partial.array().data);
  for (const Type type : {Type::f32, Type::bf16}) {
    const std::vector<NormTensor>& some = tensors[type == Type::bf16];
    sumSquares(c.stream, type, some.data(), static_cast<int>(some.size()), sums);
    for (const NormTensor& t : some) sums += normParts(t);
  }
  finishNorm(c.stream, static_cast<double*>(partial.array().data), parts, norm);
}

}  // namespace tunesmith::cuda
