"""Tests of what lies between Python and the kernels: who may run there, and what may go wrong."""
