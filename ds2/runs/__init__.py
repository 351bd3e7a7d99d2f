"""Runs: the chain of stages, the jobs of a sweep, the launcher of the leaves."""
