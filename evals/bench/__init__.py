"""Benchmarks: run by hand, side by side with a plain implementation; never timed tests."""
