"""normgraph and other libraries, measured in turns on the same data: `python -m benchmarks.peers`.

`benchmarks/peers/README.md` says what is measured and how.
"""
