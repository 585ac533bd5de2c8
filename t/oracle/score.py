#!/usr/bin/python3
"""
Oracle of score: the model in numpy, from its description, in doubles.

score.py make FILE WIDTH,WIDTH,... [dtype=F32|F16|BF16] [activation=NAME]
         [output=NAME] [norm=on] [seed=N]
    writes a model with random weights

score.py answer FILE [activation=NAME] [output=NAME]
    stdin:  one job a line, the value of "features"
    stdout: one line a job, JSON: an array of numbers for a row, an array of
            such arrays for several

score.py check FILE [activation=NAME] [output=NAME] [tolerance=T]
    stdin:  one job a line, {"features": ..., "outputs": ...}, as answered
    exit code 1 and a line for each answer that is off by more than T, 1e-5
    times the largest output if not given

Reads and writes safetensors with its own few lines, and shares nothing with
src/kinds.
"""

import json
import math
import struct
import sys

import numpy as np

SIZES = {"F32": 4, "F16": 2, "BF16": 2}


def encode(array, dtype):
    array = np.asarray(array, dtype="<f4")
    if dtype == "F16":
        return array.astype("<f2").tobytes()
    if dtype == "BF16":
        return (array.view("<u4") >> 16).astype("<u2").tobytes()
    return array.tobytes()


def decode(data, dtype):
    if dtype == "F16":
        return np.frombuffer(data, "<f2").astype("f8")
    if dtype == "BF16":
        bits = np.frombuffer(data, "<u2").astype("<u4") << 16
        return bits.view("<f4").astype("f8")
    return np.frombuffer(data, "<f4").astype("f8")


def save(path, tensors, metadata):
    header, data = {}, b""
    if metadata:
        header["__metadata__"] = metadata
    for name, (array, dtype) in tensors.items():
        raw = encode(array, dtype)
        header[name] = {"dtype": dtype, "shape": list(np.shape(array)),
                        "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + data)


def load(path):
    with open(path, "rb") as f:
        raw = f.read()
    size, = struct.unpack("<Q", raw[:8])
    header = json.loads(raw[8:8 + size])
    metadata = header.pop("__metadata__", {})
    tensors = {}
    for name, t in header.items():
        begin, end = (8 + size + x for x in t["data_offsets"])
        tensors[name] = decode(raw[begin:end], t["dtype"]).reshape(t["shape"])
    return tensors, metadata


def gelu(x):
    return x * 0.5 * np.vectorize(math.erfc)(-x / math.sqrt(2))


def softmax(x):
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


FUNCTIONS = {
    "identity": lambda x: x,
    "relu": lambda x: np.maximum(x, 0),
    "tanh": np.tanh,
    "gelu": gelu,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "softmax": softmax,
}


def forward(tensors, features, activation, output):
    x = np.atleast_2d(np.asarray(features, dtype="f4").astype("f8"))
    x = (x - tensors.get("mean", 0)) / tensors.get("std", 1)
    layers = sorted(int(name[:-7]) for name in tensors
                    if name.endswith(".weight"))
    for n in layers:
        x = x @ tensors[f"{n}.weight"].T + tensors.get(f"{n}.bias", 0)
        x = FUNCTIONS[output if n == layers[-1] else activation](x)
    return x


def functions(metadata, options):
    return (options.get("activation") or metadata.get("activation", "relu"),
            options.get("output") or metadata.get("output", "identity"))


def make(path, widths, options):
    rng = np.random.default_rng(int(options.get("seed", 1)))
    dtype = options.get("dtype", "F32")
    widths = [int(w) for w in widths.split(",")]
    tensors = {}
    for i, (inputs, outputs) in enumerate(zip(widths, widths[1:])):
        bound = 1 / math.sqrt(inputs)
        tensors[f"{2 * i}.weight"] = (
            rng.uniform(-bound, bound, (outputs, inputs)), dtype)
        tensors[f"{2 * i}.bias"] = (rng.uniform(-bound, bound, outputs),
                                    dtype)
    if options.get("norm") == "on":
        tensors["mean"] = (rng.uniform(-2, 2, widths[0]), "F32")
        tensors["std"] = (rng.uniform(0.5, 2, widths[0]), "F32")
    save(path, tensors, {k: options[k] for k in ("activation", "output")
                         if k in options})


def answer(path, options):
    tensors, metadata = load(path)
    for line in sys.stdin:
        y = forward(tensors, json.loads(line), *functions(metadata, options))
        y = y.tolist()
        print(json.dumps(y[0] if len(y) == 1 else y), flush=True)


def check(path, options):
    tensors, metadata = load(path)
    tolerance = float(options.get("tolerance", 1e-5))
    wrong = 0
    for n, line in enumerate(sys.stdin, 1):
        job = json.loads(line)
        want = forward(tensors, job["features"],
                       *functions(metadata, options))
        got = np.atleast_2d(np.asarray(job["outputs"], dtype="f8"))
        if got.shape != want.shape:
            print(f"line {n}: shape {got.shape}, not {want.shape}")
            wrong += 1
            continue
        off = np.abs(got - want).max() / max(np.abs(want).max(), 1e-30)
        if not off <= tolerance:
            print(f"line {n}: off by {off:g}")
            wrong += 1
    return 1 if wrong else 0


def main():
    args = [a for a in sys.argv[1:] if "=" not in a]
    options = dict(a.split("=", 1) for a in sys.argv[1:] if "=" in a)
    if args[:1] == ["make"] and len(args) == 3:
        make(args[1], args[2], options)
    elif args[:1] == ["answer"] and len(args) == 2:
        answer(args[1], options)
    elif args[:1] == ["check"] and len(args) == 2:
        sys.exit(check(args[1], options))
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
