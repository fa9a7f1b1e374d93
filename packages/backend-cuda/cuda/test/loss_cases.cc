// The head's softmax and loss, rows by index, the sum of losses.
#include "lab.h"

namespace tunesmith::cuda {
namespace {

void losses(Lab& lab) {
  // Gradient: none, over the logits, or over them in bf16.
  for (int way = 0; way < 3; way++)
    for (bool plain : {true, false}) {
      const int64_t tokens = lab.random.integer(1, 30);
      const int64_t large = lab.random.coin() ? 4 * lab.random.integer(125, 2500) : lab.random.integer(500, 5000);
      const int64_t vocab = plain ? lab.random.integer(2, 60) : large;
      std::vector<int32_t> labels, rows;
      for (int64_t t = 0; t < tokens; t++) {
        labels.push_back(lab.random.coin() ? -100 : static_cast<int32_t>(lab.random.integer(0, vocab - 1)));
        if (labels.back() >= 0) rows.push_back(static_cast<int32_t>(t));
      }
      if (rows.empty()) {
        labels[0] = 0;
        rows.push_back(0);
      }
      const int64_t count = static_cast<int64_t>(rows.size());
      const DeviceArray logits(lab, count * vocab, Type::f32, Content::random, 5), index(lab, rows),
          wanted(lab, labels);
      const DeviceArray nll(lab, tokens, Type::f32, Content::zero), entropy(lab, tokens, Type::f32, Content::zero),
          correct(lab, tokens, Type::f32, Content::zero);
      const DeviceArray beside(lab, way == 2 ? count * vocab : 1, Type::bf16, Content::output);
      LossRows p;
      p.rows = index.ints();
      p.labels = wanted.ints();
      p.count = count;
      p.vocab = vocab;
      p.softcap = lab.random.coin() ? 3.0f : 0;
      p.nll = nll.floats();
      p.entropy = entropy.floats();
      p.correct = correct.floats();
      softmaxLoss(lab.stream, logits.floats(), p, way > 0, way == 2 ? Type::bf16 : Type::f32);
      for (int64_t r = 0; way == 2 && r < count; r++)
        convert(lab.stream, {logits.floats() + r * vocab, Type::bf16},
            {static_cast<char*>(Array(beside).data) + 2 * r * vocab, Type::bf16}, vocab);
      std::vector<double> wantNll(static_cast<size_t>(tokens)), wantEntropy(wantNll), wantCorrect(wantNll), slope;
      const double cap = static_cast<double>(p.softcap);
      for (int64_t r = 0; r < count; r++) {
        const size_t row = static_cast<size_t>(rows[static_cast<size_t>(r)]);
        std::vector<double> z;
        for (int64_t j = 0; j < vocab; j++)
          z.push_back(cap > 0 ? cap * std::tanh(logits[r * vocab + j] / cap) : logits[r * vocab + j]);
        size_t best = 0;
        for (size_t j = 0; j < z.size(); j++) best = z[j] > z[best] ? j : best;
        double total = 0, weighted = 0;
        for (double x : z) {
          total += std::exp(x - z[best]);
          weighted += std::exp(x - z[best]) * (x - z[best]);
        }
        const size_t label = static_cast<size_t>(labels[row]);
        wantNll[row] = std::log(total) - (z[label] - z[best]);
        wantEntropy[row] = std::log(total) - weighted / total;
        wantCorrect[row] = best == label;
        for (size_t j = 0; j < z.size(); j++) {
          double d = std::exp(z[j] - z[best]) / total - (j == label);
          if (cap > 0) d *= 1 - z[j] / cap * (z[j] / cap);
          slope.push_back(d);
        }
      }
      const std::string shape =
          std::to_string(count) + " x " + std::to_string(vocab) + (p.softcap > 0 ? ", capped" : "");
      compare(lab, "nll, " + shape, nll.now(), wantNll, 1e-5, 1);
      compare(lab, "entropy, " + shape, entropy.now(), wantEntropy, 2e-5, 1);
      // Two largest logits that the cap brings within a rounding of each other may change places.
      if (!(p.softcap > 0)) compare(lab, "correct, " + shape, correct.now(), wantCorrect, 0, 1);
      if (way == 1) compare(lab, "gradient in place, " + shape, logits.now(), slope, 2e-5);
      if (way == 2) compare(lab, "gradient in bf16, " + shape, beside.now(), slope, 1e-2);
    }
}

void rowsByIndex(Lab& lab) {
  for (Type from : kFloatTypes)
    for (Type to : kFloatTypes) {
      const int64_t tokens = lab.random.integer(1, 50), width = lab.random.integer(1, 600);
      std::vector<int32_t> rows;
      for (int64_t t = 0; t < tokens; t++)
        if (t == 0 || lab.random.coin()) rows.push_back(static_cast<int32_t>(t));
      const int64_t count = static_cast<int64_t>(rows.size());
      const DeviceArray x(lab, tokens * width, from), index(lab, rows), some(lab, count * width, from, Content::output),
          y(lab, tokens * width, to, Content::zero);
      gatherRows(lab.stream, x, index.ints(), some, count, width);
      scatterRows(lab.stream, some, index.ints(), y, count, width);
      std::vector<double> wantSome, wantY(static_cast<size_t>(tokens * width));
      for (int32_t row : rows)
        for (int64_t i = 0; i < width; i++) {
          wantSome.push_back(x[row * width + i]);
          wantY[static_cast<size_t>(row * width + i)] = x[row * width + i];
        }
      compare(lab, std::string("gathered ") + nameOf(from), some.now(), wantSome, 0);
      compare(lab, std::string("scattered ") + nameOf(from) + " to " + nameOf(to), y.now(), wantY,
          to == Type::bf16 ? 1.0 / 256 : 0);
    }
}

void sums(Lab& lab) {
  for (int64_t n : {int64_t{1}, lab.random.integer(2, 5000)}) {
    const DeviceArray x(lab, n, Type::f32), y(lab, 1, Type::f32, Content::output);
    sumInDouble(lab.stream, x.floats(), n, y.floats());
    double want = 0;
    for (double v : x.given()) want += v;
    compare(lab, std::to_string(n) + " elements", y.now(), {want}, 1e-6, 1e-6);
  }
}

const AddCases kAdded = {
    {{"softmaxLoss"}, losses}, {{"gatherRows", "scatterRows"}, rowsByIndex}, {{"sumInDouble"}, sums}};

}  // namespace
}  // namespace tunesmith::cuda
