"""llama.cpp's side of the `gguf` bench: its quantizer through its library; `LIBRARY THREADS`."""

import ctypes
import sys
import time

FILES = {
    **{"q8_0": 7, "q6_k": 18, "q5_k_m": 17, "q5_1": 9, "q5_0": 8, "q4_k_m": 15, "q4_k_s": 14, "q4_1": 3, "q4_0": 2},
    **{"iq4_nl": 25, "iq4_xs": 30, "q3_k_m": 12, "q2_k": 10},
}
QUIET = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)(lambda *_: None)


class Parameters(ctypes.Structure):
    """As much of llama_model_quantize_params as is set here, and room for the rest."""

    _fields_ = [("threads", ctypes.c_int32), ("ftype", ctypes.c_int32), ("rest", ctypes.c_byte * 248)]


llama = ctypes.CDLL(sys.argv[1])
llama.llama_log_set(QUIET, None)
llama.llama_model_quantize_default_params.restype = Parameters
llama.llama_model_quantize.argtypes = [ctypes.c_char_p, ctypes.c_char_p, ctypes.POINTER(Parameters)]


def quantize(message):
    parameters = llama.llama_model_quantize_default_params()
    parameters.threads, parameters.ftype = int(sys.argv[2]), FILES[message["type"]]
    start = time.perf_counter()
    failed = llama.llama_model_quantize(message["source"].encode(), message["target"].encode(), ctypes.byref(parameters))
    if failed:
        raise RuntimeError("llama.cpp did not quantize the file")
    return {"seconds": time.perf_counter() - start, "file": message["target"]}


if __name__ == "__main__":
    from worker import serve

    serve({"quantize": quantize})
