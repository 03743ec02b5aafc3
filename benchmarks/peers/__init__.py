"""normgraph and other libraries, interleaved on the same data: `python -m benchmarks.peers`.

`benchmarks/peers/README.md` says what is measured and how.
"""
