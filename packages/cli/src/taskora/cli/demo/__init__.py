"""The product in one minute: an application that indexes the standard library.

It is split like a deployment: `contracts` is what its services share, `worker` implements it, `producer` knows the
contracts only. The other modules stage it on one machine, and show what happens.
"""
