"""Benchmarks: each measurement in a process of its own, against one fresh server, repeated, medians printed."""
