"""The Python side of the `quantize` bench: the 4-bit maths in vectorised torch, plain and tuned.

Plain: whole-tensor expressions, as bitsandbytes' own torch code. Tuned: pieces that fit the second-level cache, written into memory
allocated before, each step the fastest of several ways. All give the bytes that bitsandbytes gives.
"""

import time

import torch
from worker import serve

BLOCK = 64
CHUNK = 1 << 17
NF4 = [-1, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022833234]
NF4 += [-0.09105003625154495, 0, 0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224]
NF4 += [0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1]
CODE = torch.tensor(NF4)
MIDPOINTS = (CODE[1:] + CODE[:-1]) / 2
THRESHOLDS = MIDPOINTS.tolist()
# Both values of every byte; as one float64 each, a single gather fetches the two.
PAIRS = torch.stack([CODE.repeat_interleave(16), CODE.repeat(16)], 1).contiguous()
PAIRS_AS_ONE = PAIRS.view(torch.float64).reshape(256)

state = {}


def prepare(message):
    n = message["elements"]
    generator = torch.Generator().manual_seed(1)
    state["x"] = torch.randn(n, generator=generator) * 0.02
    state["packed"] = torch.empty(n // 2, dtype=torch.uint8)
    state["absmax"] = torch.empty(n // BLOCK)
    state["out"] = torch.empty(n)
    state["scaled"] = torch.empty(CHUNK)
    state["mask"] = torch.empty(CHUNK, dtype=torch.bool)
    state["codes"] = torch.empty(CHUNK, dtype=torch.uint8)
    state["index"] = torch.empty(CHUNK // 2, dtype=torch.int32)
    torch.set_num_threads(message["threads"])


def scale(at, end):
    blocks = state["x"][at:end].view(-1, BLOCK)
    absmax = torch.amax(blocks.abs(), 1, out=state["absmax"][at // BLOCK : end // BLOCK])
    scaled = state["scaled"][: end - at]
    torch.mul(blocks, (1.0 / absmax.clamp(min=1e-38))[:, None], out=scaled.view(-1, BLOCK))
    return scaled


def pack(codes, at, end):
    torch.bitwise_or(codes[::2] << 4, codes[1::2], out=state["packed"][at // 2 : end // 2])


def by_bucketize(at, end):
    pack(torch.bucketize(scale(at, end), MIDPOINTS, out_int32=True).to(torch.uint8), at, end)


def by_counting(at, end):
    scaled = scale(at, end)
    codes, mask = state["codes"][: end - at].zero_(), state["mask"][: end - at]
    for threshold in THRESHOLDS:
        torch.gt(scaled, threshold, out=mask)
        codes.add_(mask.view(torch.uint8))
    pack(codes, at, end)


def multiply(values, at, end):
    absmax = state["absmax"][at // BLOCK : end // BLOCK]
    torch.mul(values.view(-1, BLOCK), absmax[:, None], out=state["out"][at:end].view(-1, BLOCK))


def by_gathering_pairs(at, end):
    index = state["index"][: (end - at) // 2].copy_(state["packed"][at // 2 : end // 2])
    multiply(torch.index_select(PAIRS_AS_ONE, 0, index).view(torch.float32), at, end)


def by_embedding(at, end):
    index = state["index"][: (end - at) // 2].copy_(state["packed"][at // 2 : end // 2])
    multiply(torch.nn.functional.embedding(index, PAIRS).view(-1), at, end)


WAYS = {"quantize": [by_bucketize, by_counting], "dequantize": [by_gathering_pairs, by_embedding]}


def plain_quantize():
    blocks = state["x"].view(-1, BLOCK)
    absmax = blocks.abs().max(dim=-1)[0]
    scaled = (blocks * (1.0 / absmax.clamp(min=1e-38))[:, None]).clamp(-1, 1).view(-1)
    codes = torch.bucketize(scaled, MIDPOINTS, out_int32=True).to(torch.uint8)
    return (codes[::2] << 4) | codes[1::2], absmax


def plain_dequantize():
    packed = state["packed"]
    codes = torch.empty(2 * packed.numel(), dtype=torch.int32)
    codes[::2] = packed >> 4
    codes[1::2] = packed & 0xF
    return (CODE[codes].view(-1, BLOCK) * state["absmax"][:, None]).view(-1)


def plain(message):
    work = {"quantize": plain_quantize, "dequantize": plain_dequantize}[message["what"]]
    start = time.perf_counter()
    work()
    return {"seconds": time.perf_counter() - start}


def timed(way):
    start = time.perf_counter()
    for at in range(0, state["x"].numel(), CHUNK):
        way(at, min(at + CHUNK, state["x"].numel()))
    return time.perf_counter() - start


def fastest(message):
    name = message["what"]
    if name not in state.setdefault("fastest", {}):
        times = {way: min(timed(way) for _ in range(3)) for way in WAYS[name]}
        state["fastest"][name] = min(times, key=times.get)
    way = state["fastest"][name]
    return {"seconds": timed(way), "way": way.__name__}


def save(message):
    """The weight and the results, for checking that both sides compute the same."""
    for name in ["x", "packed", "absmax", "out"]:
        state[name].numpy().tofile(f"{message['folder']}/{name}")


serve({"prepare": prepare, "plain": plain, "tuned": fastest, "save": save})
