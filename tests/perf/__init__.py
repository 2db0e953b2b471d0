"""The project's benchmark: ``python -m tests.perf`` (docs/performance.md says how to read it).

Upstream, load and server each run in a process of their own, over loopback. The primary figure is
the CPU time of the server process divided by what it did; a byte pump that forwards the same bytes
without looking at them is measured in the same run, so that machines can be compared.
"""
