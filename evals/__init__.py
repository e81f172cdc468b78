"""How good it is: benchmarks and, later, cases and scorers."""
