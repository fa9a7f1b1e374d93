"""`transformers serve` for serve.mjs, on a free port, as its users start it."""

import os
import socket
import subprocess
import sys
import time
import urllib.request

from worker import serve

os.environ.update(HF_HUB_OFFLINE="1")
server = None


def prepare(message):
    global server
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = os.path.join(os.path.dirname(sys.executable), "transformers")
    server = subprocess.Popen(
        [command, "serve", message["model"], "--port", str(port), "--device", "cpu", "--dtype", "bfloat16"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"
    for _ in range(600):
        try:
            urllib.request.urlopen(f"{url}/health", timeout=1)
            return {"url": url}
        except OSError:
            if server.poll() is not None:
                raise RuntimeError(f"transformers serve ended with {server.returncode}")
            time.sleep(0.2)
    raise RuntimeError("transformers serve does not answer")


def stop(_):
    server.terminate()
    server.wait()
    return {}


serve({"prepare": prepare, "stop": stop})
