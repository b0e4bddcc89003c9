"""Benchmarks: ratios side by side in one run, with an A/A control, on a random 12-layer Llama that needs no download.

`python -m benchmarks.peers install` once, then `python -m benchmarks.capture`, `.corpus` and `.memory`.
"""
