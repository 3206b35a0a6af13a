from django.urls import path

from api_docs import views

app_name = "api_docs"
urlpatterns = [
    path("api/schema/", views.SchemaView.as_view(), name="schema"),
    path("api/docs/", views.browse, name="browse"),
]
