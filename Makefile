# Nothing before these commands: each finds a Python, makes .venv and .env, and goes on.
.DEFAULT_GOAL := help
.PHONY: help demo run test lint types bench-voice bench-campaigns faults soak record-corpus pictures shell migrate clean-data
PY := .venv/bin/python
# No name of a setting: make would hand its own value of it to what it runs.
SETUP := @deploy/bootstrap.sh sandbox
DEV_SETUP := @deploy/bootstrap.sh dev

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' Makefile

demo: ## watch an AI agent phone and text people, then look around (SAY='a sentence', KILL=1, DEMO_EXIT=1)
	$(SETUP)
	@$(PY) manage.py demo

run: ## start everything on http://127.0.0.1:8000 (PORT=9000 for another)
	$(SETUP)
	@$(PY) manage.py run

test: ## run the tests on real PostgreSQL and Valkey (ARGS='calls -k ringing')
	$(DEV_SETUP)
	@deploy/browser.sh
	@$(PY) -m pytest -q -n 2 --dist loadfile $(ARGS)

lint: ## check style, format and the direction of imports
	$(DEV_SETUP)
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -c 'from importlinter.cli import lint_imports_command as lint; lint()' --no-logo

types: ## check types
	$(DEV_SETUP)
	@$(PY) -m mypy .

bench-voice: ## measure the live engine beside Pipecat (ARGS=--quick): docs/performance.md
	$(DEV_SETUP)
	@$(PY) -m benchmarks.voice $(ARGS)

faults: ## call an agent once for each fault of a provider and show what was heard (ARGS=--write)
	$(DEV_SETUP)
	@$(PY) -m benchmarks.faults $(ARGS)

soak: ## 1,000 calls against one media process: does anything grow? (ARGS='--minutes 30 --at-once 40')
	$(DEV_SETUP)
	@$(PY) -m benchmarks.soak $(ARGS)

record-corpus: ## call the sandbox's people again for media/tests/corpus (ARGS='plain-talk' or --decide-again)
	$(DEV_SETUP)
	@$(PY) -m nixflex.tests.record_corpus $(ARGS)

bench-campaigns: ## measure uploads and the carrier's pace: docs/reliability.md
	$(DEV_SETUP)
	@$(PY) -m benchmarks.upload
	@$(PY) -m benchmarks.pace

pictures: ## take docs/images' pictures of a dashboard in use again (ARGS=FOLDER), on an idle machine
	$(DEV_SETUP)
	@deploy/browser.sh
	@$(PY) -m nixflex.tests.take_pictures $(ARGS)

shell: ## a Python shell with the models loaded
	$(SETUP)
	@$(PY) manage.py shell

migrate: ## bring the database up to date
	$(SETUP)
	@$(PY) manage.py migrate

clean-data: ## delete the embedded database (stop `make run` first)
	$(SETUP)
	@$(PY) -m nixflex.embedded.remove .nixflex
