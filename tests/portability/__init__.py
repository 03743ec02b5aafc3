"""Other processors and compilers: what CMake chooses for them, and scripts that run the tests."""
