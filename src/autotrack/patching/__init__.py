"""Patching: the only room that touches other people's code.

`observe` places wrappers and calls originals, `imports` waits for a product to be imported, `scope` says who owns the
run right now. An integration's observers enter; calls of the product leave exactly as they came.
"""
