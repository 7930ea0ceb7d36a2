"""Benchmarks: what each mechanism costs, as a ratio to a C program and to the peers in the same run."""
