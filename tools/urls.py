from django.urls import path

from tools import api

app_name = "tools"
urlpatterns = [
    path("api/calls/<call_id:call_id>/tools", api.CallToolsView.as_view(), name="call_tools"),
    path("api/calls/<call_id:call_id>/tools/<int:pk>", api.DecisionView.as_view(), name="decision"),
    path("api/tools/<slug:name>", api.RunView.as_view(), name="run"),
]
