from django.apps import AppConfig


class NixflexConfig(AppConfig):
    name = "nixflex"

    def ready(self) -> None:
        from nixflex import checks  # noqa: F401  (registers the system checks)
