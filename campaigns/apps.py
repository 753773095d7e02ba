from django.apps import AppConfig


class CampaignsConfig(AppConfig):
    name = "campaigns"

    def ready(self) -> None:
        from calls.signals import (
            account_closed,
            call_ended,
            call_put_back,
            person_exported,
            person_forgotten,
            too_old,
        )
        from campaigns.forgetting import (
            on_account_closed,
            on_person_exported,
            on_person_forgotten,
            on_too_old,
        )
        from campaigns.outcomes import on_call_ended
        from campaigns.services import on_call_put_back

        call_ended.connect(on_call_ended, dispatch_uid="campaigns")
        call_put_back.connect(on_call_put_back, dispatch_uid="campaigns")
        person_forgotten.connect(on_person_forgotten, dispatch_uid="campaigns")
        person_exported.connect(on_person_exported, dispatch_uid="campaigns")
        account_closed.connect(on_account_closed, dispatch_uid="campaigns")
        too_old.connect(on_too_old, dispatch_uid="campaigns")
