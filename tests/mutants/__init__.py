"""Mutants: the sources with one term or one check dropped. Some test must fail for each of them.

    make mutants                             all of them
    make mutants ARGUMENTS=--help            the options

`catalogue/` lists them, by what they break; `workspace.py` is the copy of the tree in which they
are built and tested; `run.py` goes through the list.
"""
