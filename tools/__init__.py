"""What we can do: places, periods, scenes, plans, computations, files. Imports knowledge."""
