from django.urls import path

from realtime_ui import views

urlpatterns = [path("", views.voice, name="voice")]
