from django.urls import path

from relay import api, dry_run, history, streams

app_name = "relay"
urlpatterns = [
    path("v1/realtime/calls", api.calls, name="calls"),
    path("api/realtime/handshake", api.calls),
    path("v1/realtime/calls/<call_id:call_id>/hangup", api.HangUpView.as_view(), name="hang_up"),
    path("api/client-secret/dry-run", dry_run.DryRunView.as_view(), name="dry_run"),
    path("api/calls", history.CallsView.as_view(), name="call_list"),
    path("api/calls/stream", streams.own_calls, name="call_stream"),
    path("api/calls/<call_id:call_id>", history.CallView.as_view(), name="call"),
    path("api/calls/<call_id:call_id>/commands", api.CommandsView.as_view(), name="call_commands"),
    path("api/calls/<call_id:call_id>/events", api.CallEventsView.as_view(), name="call_events"),
]
