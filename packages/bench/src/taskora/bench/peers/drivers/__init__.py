"""One file per library, run in an environment that has it and, of taskora, nothing but this directory.

So nothing here imports anything beyond the standard library and the library it drives; `ours` alone imports taskora.
"""
