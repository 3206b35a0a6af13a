from django.urls import path

from tokens import api

app_name = "tokens"
urlpatterns = [
    path("api/client-secret", api.client_secret, name="client_secret"),
    path("api/realtime/client-secret", api.client_secret),
]
