from django.apps import AppConfig


class NixflexConfig(AppConfig):
    name = "nixflex"

    def ready(self) -> None:
        # Registers the system checks, and makes our Celery the one that tasks are sent through.
        from nixflex import celery, checks  # noqa: F401
