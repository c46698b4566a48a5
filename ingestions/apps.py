from django.apps import AppConfig


class IngestionsConfig(AppConfig):
    name = "ingestions"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from django_q.signals import post_spawn

        from ingestions.worker import on_spawn

        post_spawn.connect(on_spawn, dispatch_uid="ingestions.worker")
