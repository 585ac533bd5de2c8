#!/usr/bin/python3
"""
Oracle of the built-in kinds: the kernels restated from their specification
(HelixRouter's), slowly and plainly.

stdin:  one job a line, {"kind", "id", "inputs", "compute_cost"}
stdout: one answer a line, the integer or repr() of the float

Shares nothing with src/kinds, so that the two can only agree by being right.
"""

import json
import math
import sys

MASK = (1 << 64) - 1
TWO64 = 18446744073709551616.0


def rotl(v, n):
    return ((v << n) | (v >> (64 - n))) & MASK


def clamp(v, low, high):
    return max(low, min(high, v))


def hashmix(job_id, inputs, cost):
    x = 0xcbf29ce484222325
    for v in inputs:
        x ^= v
        x = x * 0x100000001b3 & MASK
        x ^= x >> 33
        x = x * 0xff51afd7ed558ccd & MASK
        x ^= x >> 33
        x = x * 0xc4ceb9fe1a85ec53 & MASK
        x ^= x >> 33
    for _ in range(max(cost // 64, 1)):
        x = rotl(x, 7) ^ 0x9e3779b97f4a7c15
        x = x * 0xbf58476d1ce4e5b9 & MASK
    return x


def primecount(job_id, inputs, cost):
    n = clamp(cost, 10000, 250000)
    composite = bytearray(n + 1)
    composite[0] = composite[1] = 1
    for p in range(2, n + 1):
        if p * p > n:
            break
        if not composite[p]:
            for m in range(p * p, n + 1, p):
                composite[m] = 1
    return composite.count(0)


def montecarlo_risk(job_id, inputs, cost):
    sims = clamp(cost // 200, 5000, 50000)
    s = 0x123456789abcdef0 ^ job_id
    # "1 + sum" is a fold that starts at 1.0, not 1.0 plus a sum from 0.0:
    # the last bit differs for many inputs
    mean = 0.0
    vol = 1.0
    for v in inputs:
        mean += (float(v) / TWO64) * 0.0001
        vol += (float(rotl(v, 13)) / TWO64 - 0.5) * 0.01
    vol = max(vol, 0.1)
    samples = []
    for _ in range(sims):
        s ^= s >> 12
        s ^= s << 25 & MASK
        s ^= s >> 27
        r = s * 0x2545F4914F6CDD1D & MASK
        base = (float(r) / TWO64 * 2.0 - 1.0) * 0.05
        samples.append(mean + base * vol)
    samples.sort()
    return samples[math.floor(0.05 * sims)]


KINDS = {
    "hashmix": hashmix,
    "primecount": primecount,
    "montecarlo_risk": montecarlo_risk,
}


def main():
    for line in sys.stdin:
        if not line.strip():
            continue
        job = json.loads(line)
        kind = KINDS[job["kind"]]
        answer = kind(job.get("id", 0), job.get("inputs", []),
                      job.get("compute_cost", 0))
        print(repr(answer), flush=True)


if __name__ == "__main__":
    main()
