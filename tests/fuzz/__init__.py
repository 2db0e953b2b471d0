"""Fuzzing: every parser, fed with what is nearly right.

A *target* draws its input from a ``Source`` and asserts what must hold; ``targets`` lists them.
Two drivers run the same targets: hypothesis, a few hundred inputs each, in every test run
(``tests/test_fuzz.py``), and atheris, guided by coverage and bounded in time, with ``make fuzz``.
"""
