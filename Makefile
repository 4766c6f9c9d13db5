# From nothing but Python 3.10+ and make to a result: `make eval`. A C compiler is needed once, for
# the packages pesq and webrtcvad, which come as source.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: install eval test test-slow check lint types bench suite clean
.DELETE_ON_ERROR:

install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
	  { echo "make: Python 3.10 or later is needed; name it with make PYTHON=python3.11"; exit 1; }
	@command -v cc >/dev/null || \
	  { echo "make: a C compiler is needed for pesq and webrtcvad; on Debian: apt-get install gcc python3-dev"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt torch setuptools wheel
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[lyra,text,codecs,test]'
	@# librosa compiles loops when it is first loaded: here, so that no run waits for it.
	$(BIN)/python -c 'import librosa.core, librosa.feature'
	@touch $@

# Status 1 says that some utterances have failures, which the table names: here the pitch of three.
eval: $(STAMP)
	$(BIN)/bench eval soundstream --suite mini --tracks resynthesis,tokens || \
	  { test $$? -eq 1 && test -f 'runs/mini/soundstream@codebooks=8/partial/result.json'; }

# Two processes, each of one thread: on two cores half again as fast as one process of two.
test: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile

test-slow: $(STAMP)
	$(BIN)/python -m pytest -m slow

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check bench tokenizers probes leaderboards tests

types: $(STAMP)
	$(BIN)/mypy -p bench

check: lint types test

bench: $(STAMP)
	$(BIN)/python -m pytest -m benchmark --benchmark-only

suite: $(STAMP)
	$(BIN)/python -m pip install -q -c constraints.txt -e '.[build]'
	$(BIN)/python -m bench.suites.build_mini --work .cache/mini --out bench/suites/mini

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache
