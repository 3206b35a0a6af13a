"""Users in the administration: Django's own, with a way to end everything of theirs."""

from urllib.parse import urlencode

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin as StockUserAdmin
from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponseRedirect
from django.urls import reverse

from voiceagent.admin_views import may_end_everything

admin.site.unregister(User)


@admin.register(User)
class UserAdmin(StockUserAdmin[User]):
    change_form_template = "admin/user_form.html"
    actions = ["end_everything"]

    def has_end_everything_permission(self, request: HttpRequest) -> bool:
        return may_end_everything(request)

    @admin.action(description="End everything of the selected users…", permissions=["end_everything"])
    def end_everything(self, request: HttpRequest, queryset: QuerySet[User]) -> HttpResponseRedirect:
        chosen = urlencode([("user", pk) for pk in queryset.values_list("pk", flat=True)])
        return HttpResponseRedirect(f"{reverse('admin:end_everything')}?{chosen}")
