from django.urls import path

from calls import recordings

urlpatterns = [path("<str:call_id>.wav", recordings.recording, name="recording")]
