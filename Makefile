SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PURE := $(VENV)-pure
CMAKE = $(shell command -v cmake || echo $(BIN)/cmake)

# The same versions for the package and, since pip 25.3 by a variable of its own, for its build.
export PIP_CONSTRAINT := $(CURDIR)/constraints.txt
export PIP_BUILD_CONSTRAINT := $(PIP_CONSTRAINT)
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: demo test test-all check check-no-compiler sanitize docs bench clean

# Editable, so that the tests see the source; the compiled library lies in the environment.
$(STAMP): pyproject.toml constraints.txt CMakeLists.txt $(shell find csrc -type f)
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q -e '.[demo,dev]'
	touch $@

# make demo DEMO="--storage compressed" trains with only the weights that live.
demo: $(STAMP)
	@start=$$SECONDS; $(BIN)/rarefy demo $(DEMO); echo "make demo: $$((SECONDS - start)) s"

test: $(STAMP)
	@start=$$SECONDS; $(BIN)/python -m pytest -q; echo "make test: $$((SECONDS - start)) s"

test-all: check test sanitize check-no-compiler docs

check: $(STAMP)
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -q tests/test_house.py

# What someone without a compiler gets: the wheel without the library, tested as installed. The
# second environment sees the first one's packages, but not its editable rarefy.
check-no-compiler: $(STAMP)
	rm -rf $(PURE) build/pure build/pure-wheel
	env -u RAREFY_REQUIRE_NATIVE CC=/bin/false CXX=/bin/false $(BIN)/python -m pip wheel -q \
	  --no-deps -C build-dir=build/pure -w build/pure-wheel .
	ls build/pure-wheel/rarefy-*-py3-none-any.whl
	$(BIN)/python -m venv --without-pip $(PURE)
	$(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))' \
	  > "$$($(PURE)/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/shared.pth"
	$(BIN)/python -m pip --python $(PURE)/bin/python install -q --no-deps --ignore-installed \
	  build/pure-wheel/rarefy-*.whl
	env -u RAREFY_REQUIRE_NATIVE $(PURE)/bin/python -m pytest -q tests

$(BIN)/cmake: $(STAMP)
	$(BIN)/python -m pip install -q cmake

# The kernels against plain loops, under the address and undefined-behaviour sanitizers.
sanitize: $(STAMP) $(filter $(BIN)/%,$(CMAKE))
	$(CMAKE) -S . -B build/sanitize -DRAREFY_SANITIZE=ON
	$(CMAKE) --build build/sanitize --parallel $$(nproc)
	ls build/sanitize/test_* | grep -v '\.' > build/sanitize/tests
	test -s build/sanitize/tests
	while read -r test; do echo "$$test"; "$$test"; done < build/sanitize/tests
	RAREFY_CODE_MB=0 build/sanitize/test_slot_layer

docs: $(STAMP)
	$(BIN)/sphinx-build -q -W --keep-going docs build/docs
	@echo "build/docs/index.html"

# Every number in the docs has its command in this list.
bench: $(STAMP)
	@grep -E '^ +([A-Z_]+=[^ ]+ )*\.venv/bin/' benchmarks/README.md

clean:
	rm -rf $(VENV) $(PURE) build
