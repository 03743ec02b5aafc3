# The two commands of the README, and what developers need. Set-up goes to .venv, building to build.

.PHONY: help run test test-interop test-aarch64 test-compilers mutants fuzz bench bench-record bench-compare bench-peers bench-training accuracy lint format asan tsan docs clean
.SUFFIXES:

help:
	@echo "make run           build; in one screen, the demo on real data and ten lines of benchmarks"
	@echo "make test          build; run every test, except for those of test-interop"
	@echo "make test-interop  the tests that need torch, JAX, onnx or MPI (installs them: about 1 GB), and"
	@echo "                   a program that builds the library from its sources"
	@echo "make test-aarch64  C++ and Python tests for 64-bit Arm, in an emulator (installs it if it may)"
	@echo "make test-compilers  the C++ tests with every GCC and Clang that is installed"
	@echo "make mutants       drops each term and check in turn: does a test fail? (about an hour)"
	@echo "make fuzz          random input of every kind, a minute for each of six kinds of it;"
	@echo "                   ARGUMENTS=--help lists the options"
	@echo "make bench         all C++ microbenchmarks (minutes); ARGUMENTS=--help lists the options"
	@echo "make bench-record  a short run of them, kept in docs/history, and the trend"
	@echo "make bench-compare ARGUMENTS=COMMIT   this tree's beside those of a commit, in turns"
	@echo "make bench-peers   normgraph beside torch, oneDNN, JAX and numpy (half an hour); writes"
	@echo "                   docs/benchmarks; ARGUMENTS=--help lists the options"
	@echo "make bench-training  training steps of torch networks, as they are and converted (an hour,"
	@echo "                   ARGUMENTS=--no-compile: half of it); writes docs/training"
	@echo "make accuracy      errors of normgraph, torch and JAX (minutes); writes docs/accuracy"
	@echo "make lint          formatting, names, likely mistakes and types, in C++ and Python"
	@echo "make format        put C++ and Python into the project's format"
	@echo "make asan          all tests under AddressSanitizer and UndefinedBehaviorSanitizer"
	@echo "make tsan          all tests under ThreadSanitizer"
	@echo "make docs          the documentation, into build/docs/html"
	@echo "make clean         remove the build and the environment"
	@echo "PYTHON=... and CXX=... choose the Python (3.10 or newer) and the compiler (C++20)."

environment := $(CURDIR)/.venv
build := build/release
quietly := cmake/quietly.sh
benchmarks := $(build)/benchmarks/normgraph_benchmarks
original_path := $(PATH)
export PATH := $(environment)/bin:$(PATH)
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Make sets CXX itself: only a value from the user counts.
chosen_compiler := $(if $(filter-out default undefined,$(origin CXX)),$(CXX))
test_extras := demo,test
# Programs of the C++ package's test: they are built against what is installed.
consumer := tests/cpp_package/consumer
benchmark_targets := _core;normgraph_benchmarks;normgraph_measurement_module
test_targets := $(benchmark_targets);normgraph_tests

# Folders are listed as well, so that a file that has gone counts as a change.
sources := CMakeLists.txt pyproject.toml $(wildcard README.md) \
    $(shell find csrc python benchmarks cmake \
        -not -name '*.md' -not -name __pycache__ -not -name '*.pyc' \
        -not -path 'benchmarks/*.py')
test_sources := tests/CMakeLists.txt $(shell find tests/cpp)

# $(call install,WHAT IS HAPPENING,EXTRAS,BUILD TARGETS)
# One build tree for the module, the tests and the benchmarks: nothing is compiled twice.
install = CXX=$$(cat $(environment)/compiler) $(quietly) build/logs/install.log "$(1)" \
    python -m pip install --no-build-isolation ".[$(2)]" \
    -Cbuild-dir=$(build) -Cbuild.targets="$(3)" \
    -Ccmake.define.NORMGRAPH_WARNINGS_AS_ERRORS=ON -Ccmake.define.NORMGRAPH_BUILD_BENCHMARKS=ON \
    -Ccmake.define.NORMGRAPH_INSTALL_SYSTEM_PACKAGES=ON

set_up := $(environment)/set_up.stamp
installed := $(environment)/installed.stamp
installed_for_tests := $(environment)/installed_for_tests.stamp
interop := $(environment)/interop.stamp
mpi := $(environment)/mpi.stamp
peers := $(environment)/peers.stamp
lint_tools := $(environment)/lint_tools.stamp
docs_tools := $(environment)/docs_tools.stamp
fuzz_tools := $(environment)/fuzz_tools.stamp

$(set_up): cmake/create_environment.sh
	@PATH="$(original_path)" CXX="$(chosen_compiler)" $(quietly) build/logs/set_up.log \
	    "setting up Python and the build tools in .venv" cmake/create_environment.sh $(environment)
	@tail -n 1 build/logs/set_up.log
	@touch $@

$(installed): $(set_up) $(sources)
	@$(call install,building normgraph,demo,$(benchmark_targets))
	@touch $@

$(installed_for_tests): $(set_up) $(sources) $(test_sources)
	@$(call install,building normgraph with its tests,$(test_extras),$(test_targets)) \
	    -Ccmake.define.NORMGRAPH_BUILD_TESTS=ON
	@touch $(installed) $@

$(interop): | $(set_up)
	@$(quietly) build/logs/interop.log "installing torch, JAX, Flax, Keras, onnx and onnxruntime" \
	    sh -c "python -m pip install torch==2.13.0 && \
	        python -m pip install jax ml_dtypes onnx onnxruntime && \
	        { python -m pip install flax==0.12.8 keras==3.15.1 || \
	            echo 'left out: masked layers of Flax and Keras'; } && \
	        { python -m pip install onnxscript || \
	            echo 'left out: networks that torch exports to ONNX'; }"
	@touch $@

# Where there is no mpirun and none can be installed, its tests say that they are left out.
$(mpi): | $(set_up)
	@$(quietly) build/logs/mpi.log "installing MPI" sh -c "python -m pip install mpi4py; \
	    command -v mpirun || cmake/install_cpp_test_dependencies.sh mpi || true"
	@touch $@

# A library without dependencies; there is a package for this platform alone.
$(peers): | $(set_up)
	@$(quietly) build/logs/peers.log "installing oneDNN" python -m pip install \
	    "onednn-cpu-gomp==2023.2.0; platform_machine == 'x86_64' and sys_platform == 'linux'"
	@touch $@

$(lint_tools): $(installed_for_tests)
	@$(call install,installing the linters,lint,_core)
	@touch $@

$(docs_tools): $(installed)
	@$(call install,installing what builds the documentation,docs,_core)
	@touch $@

$(fuzz_tools): $(installed_for_tests)
	@$(quietly) build/logs/fuzz_tools.log "installing the fuzzer" python -m pip install "atheris>=3.0"
	@touch $@

run: $(installed)
	@python -m normgraph demo
	@echo
	@python -m benchmarks.summary

test: $(installed_for_tests)
	@$(quietly) build/logs/ctest.log "C++ tests" \
	    ctest --test-dir $(build) --output-on-failure --no-tests=error \
	    --parallel $$(getconf _NPROCESSORS_ONLN)
	@grep "tests passed" build/logs/ctest.log
	@CXX=$$(cat $(environment)/compiler) NORMGRAPH_BENCHMARKS=$(CURDIR)/$(benchmarks) \
	    python -m pytest -m "not interop and not rebuilds" --numprocesses=auto --dist=worksteal
	@echo "left out: the tests that need torch, JAX, onnx or MPI, and a program that builds the library"
	@echo "          from its sources (make test-interop)"

test-interop: $(installed_for_tests) $(interop) $(mpi) $(peers)
	@CXX=$$(cat $(environment)/compiler) python -m pytest -m "interop or rebuilds"

test-aarch64: $(set_up)
	@tests/portability/aarch64.sh $(ARGUMENTS)
	@tests/portability/aarch64_python.sh

test-compilers: $(set_up)
	@tests/portability/compilers.sh $(ARGUMENTS)

mutants: $(installed_for_tests) $(interop)
	@CXX=$$(cat $(environment)/compiler) python -m tests.mutants $(ARGUMENTS)

fuzz: $(installed_for_tests) $(fuzz_tools)
	@python -m tests.fuzz $(ARGUMENTS)

bench: $(installed)
	@$(benchmarks) $(ARGUMENTS)

bench-record: $(installed_for_tests) $(docs_tools)
	@python -m benchmarks.history record $(ARGUMENTS)

bench-compare: $(installed)
	@python -m benchmarks.history compare $(ARGUMENTS)

bench-peers: $(installed) $(interop) $(peers)
	@python -m benchmarks.peers $(ARGUMENTS)
	@python -m benchmarks.front_page

bench-training: $(installed) $(interop)
	@python -m benchmarks.training $(ARGUMENTS)
	@python -m benchmarks.front_page

accuracy: $(installed_for_tests) $(interop)
	@python -m benchmarks.accuracy $(ARGUMENTS)

cpp_sources := $(shell find csrc tests benchmarks -name '*.cpp')
cpp_headers := $(shell find csrc tests benchmarks -name '*.hpp')

lint: $(lint_tools)
	@clang-format --dry-run --Werror $(cpp_sources) $(cpp_headers)
	@ruff format --check --quiet . && ruff check --quiet .
	@mypy
	@$(MAKE) --no-print-directory --jobs=$$(getconf _NPROCESSORS_ONLN) tidy

# clang-tidy, for each source that has changed, or with it any header, since it was found clean.
tidied := $(patsubst %.cpp,build/tidy/clean/%.stamp,$(filter-out $(consumer)/%,$(cpp_sources)))
.PHONY: tidy
tidy: $(tidied)
	@$(quietly) build/logs/headers.log "each installed header on its own" \
	    cmake --build build/tidy --target all_verify_interface_header_sets

$(tidied): build/tidy/clean/%.stamp: %.cpp $(cpp_headers) .clang-tidy build/tidy/compile_commands.json
	@echo "clang-tidy $<"
	@clang-tidy -p build/tidy --quiet $< 2>/dev/null
	@mkdir -p $(@D) && touch $@

# What is listed for clang-tidy changes with these alone: another change leaves what was found clean so.
build/tidy/compile_commands.json: CMakeLists.txt tests/CMakeLists.txt benchmarks/CMakeLists.txt \
    CMakePresets.json $(wildcard cmake/*.cmake) $(shell find csrc tests/cpp -type d) | $(lint_tools)
	@CXX=$$(cat $(environment)/compiler) $(quietly) build/logs/tidy.log \
	    "configuring for clang-tidy" cmake --preset tidy -G Ninja
	@touch $@

format: $(lint_tools)
	@clang-format -i $(cpp_sources) $(cpp_headers)
	@ruff format . && ruff check --fix --quiet .

asan tsan: $(installed_for_tests)
	@CXX=$$(cat $(environment)/compiler) tests/sanitizers/run.sh $@ $(ARGUMENTS)

docs: $(docs_tools)
	@$(quietly) build/logs/docs.log "building the documentation" \
	    python -m sphinx -E -W --keep-going -d build/docs/doctrees docs build/docs/html
	@echo "build/docs/html/index.html"

clean:
	rm -rf .venv build
