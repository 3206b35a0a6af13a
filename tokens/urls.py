from django.urls import path

from tokens import api, record_rest, rest

app_name = "tokens"
urlpatterns = [
    path("api/client-secret", api.client_secret, name="client_secret"),
    path("api/realtime/client-secret", api.client_secret),
    path("api/session", api.session, name="session"),
    path("v1/realtime/client_secrets", api.upstream_client_secret, name="upstream_client_secret"),
    path("v1/models", rest.ModelsView.as_view(), name="models"),
    path("api/agents", rest.AgentsView.as_view(), name="agents"),
    path("api/whoami", rest.WhoAmIView.as_view(), name="whoami"),
    path("api/issuances", rest.IssuancesView.as_view(), name="issuances"),
    path("api/issuances/<int:pk>/revoke", rest.RevokeView.as_view(), name="revoke"),
    path("api/keys", rest.KeysView.as_view(), name="keys"),
    path("api/keys/<int:pk>", rest.KeyView.as_view(), name="key"),
    path("api/audit/checkpoint", record_rest.CheckpointView.as_view(), name="checkpoint"),
    path("api/audit/proof/<int:pk>", record_rest.ProofView.as_view(), name="proof"),
    path("log/checkpoint", record_rest.LogCheckpointView.as_view(), name="log_checkpoint"),
    path("log/tile/entries/<path:place>", record_rest.LogEntriesView.as_view(), name="log_entries"),
    path("log/tile/<path:place>", record_rest.LogTileView.as_view(), name="log_tile"),
    path("api/usage", rest.UsageView.as_view(), name="usage"),
]
