from django.apps import AppConfig


class CampaignsConfig(AppConfig):
    name = "campaigns"

    def ready(self) -> None:
        from calls.signals import call_ended
        from campaigns.outcomes import on_call_ended

        call_ended.connect(on_call_ended, dispatch_uid="campaigns")
