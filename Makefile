# Nothing before these commands: each finds a Python, makes .venv and .env, and goes on.
.DEFAULT_GOAL := help
.PHONY: help demo run test lint types shell migrate clean-data
PY := .venv/bin/python
SANDBOX := @deploy/bootstrap.sh sandbox
DEV := @deploy/bootstrap.sh dev

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' Makefile

demo: ## watch an AI agent phone somebody, then look around (SAY='a sentence', DEMO_EXIT=1)
	$(SANDBOX)
	@$(PY) manage.py demo

run: ## start everything on http://127.0.0.1:8000 (PORT=9000 for another)
	$(SANDBOX)
	@$(PY) manage.py run

test: ## run the tests on real PostgreSQL and Valkey (ARGS='calls -k ringing')
	$(DEV)
	@deploy/browser.sh
	@$(PY) -m pytest -q -n 2 --dist loadfile $(ARGS)

lint: ## check style, format and the direction of imports
	$(DEV)
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -c 'from importlinter.cli import lint_imports_command as lint; lint()' --no-logo

types: ## check types
	$(DEV)
	@$(PY) -m mypy .

shell: ## a Python shell with the models loaded
	$(SANDBOX)
	@$(PY) manage.py shell

migrate: ## bring the database up to date
	$(SANDBOX)
	@$(PY) manage.py migrate

clean-data: ## delete the embedded database (stop `make run` first)
	$(SANDBOX)
	@$(PY) -m nixflex.embedded.remove .nixflex
