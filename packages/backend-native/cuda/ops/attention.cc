// Attention: checks the sequences on the host and chooses the kernel.
#include <algorithm>

#include "../host/failure.h"
#include "../host/launch_geometry.h"
#include "operations.h"

namespace tunesmith {
namespace cuda {
namespace {

void check(bool good, const char* what) {
  if (!good) throw Failure("invalid_data", std::string("CausalAttention: expected ") + what);
}

}  // namespace

void checkAttention(Attention& p, const AttentionBounds& host) {
  check(p.heads > 0 && p.kvHeads > 0 && p.headDim > 0 && p.heads % p.kvHeads == 0, "heads that share kv heads evenly");
  check(p.headDim <= 256, "a head size up to 256");
  check(p.heads <= kMaxBlocksYZ && p.sequences <= kMaxBlocksYZ, "at most 65,535 heads and sequences");
  check(host.cuSeqlens[0] == 0 && host.cuSeqlens[p.sequences] == p.tokens, "sequences inside q and k");
  check(p.kvStart ? true : p.keys == p.tokens, "sequences inside q and k");
  for (int s = 0; s < p.sequences; s++) {
    const int64_t queries = int64_t{host.cuSeqlens[s + 1]} - host.cuSeqlens[s];
    check(queries >= 0, "sequences inside q and k");
    p.maxQueries = std::max(p.maxQueries, static_cast<int>(queries));
    if (p.kvStart) check(host.kvStart[s] >= 0 && host.kvLength[s] >= queries && int64_t{host.kvStart[s]} + host.kvLength[s] <= p.keys, "sequences inside q and k");
  }
}

void attention(Context& c, Attention p, const AttentionBounds& host, AttentionTensors t) {
  checkAttention(p, host);
  if (p.tokens == 0) return;
  const int64_t width = int64_t{p.heads} * p.headDim, kvWidth = int64_t{p.kvHeads} * p.headDim;
  const Operand q(c, t.q, p.tokens * width, c.type), k(c, t.k, p.keys * kvWidth, c.type), v(c, t.v, p.keys * kvWidth, c.type);
  const Temp out(c, t.out.type == c.type ? 1 : p.tokens * width, c.type);
  const Array wanted = t.out;
  t.q = q;
  t.k = k;
  t.v = v;
  if (wanted.type != c.type) t.out = out.array();
  // One query a sequence leaves tiles of 64 almost empty; there a block reads the keys for that query alone.
  if (hasFlashAttention(c.type, p.headDim) && p.maxQueries > 1)
    flashAttention(c.stream, p, t);
  else
    plainAttention(c.stream, p, t);
  if (wanted.type != c.type) convert(c.stream, t.out, wanted, p.tokens * width);
}

void attentionGrad(Context& c, Attention p, const AttentionBounds& host, AttentionTensors t) {
  if (p.kvStart) throw Failure("invalid_data", "CausalAttentionGrad: expected no cache in a gradient");
  checkAttention(p, host);
  if (p.tokens == 0) return;
  const int64_t size = p.tokens * p.heads * p.headDim, kvSize = p.tokens * p.kvHeads * p.headDim;
  const Operand q(c, t.q, size, c.type), k(c, t.k, kvSize, c.type), v(c, t.v, kvSize, c.type), out(c, t.out, size, c.type), dout(c, t.dout, size, c.type);
  const Temp delta(c, p.tokens * p.heads, Type::f32);
  t.q = q;
  t.k = k;
  t.v = v;
  t.out = out;
  t.dout = dout;
  t.delta = delta.floats();
  if (hasFlashAttention(c.type, p.headDim))
    flashAttentionGrad(c.stream, p, t);
  else
    plainAttentionGrad(c.stream, p, t);
}

}  // namespace cuda
}  // namespace tunesmith
