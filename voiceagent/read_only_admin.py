"""An admin for evidence: look, filter and search, quickly at a million rows; nothing to add, change or delete."""

from typing import Any, cast

from django.contrib import admin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.options import ShowFacets
from django.contrib.admin.views.main import PAGE_VAR, ChangeList
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _

from voiceagent.capped_paginator import CappedPaginator
from voiceagent.list_filters import Chip, EvidenceFilter, OlderFilter, newest_first, place_of


class ReadOnlyAdmin(admin.ModelAdmin[Any]):
    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


class EvidenceChangeList(ChangeList):
    """A list in the one order that its indexes have; sorting a million rows by any column is not offered."""

    def get_ordering(self, request: HttpRequest, queryset: QuerySet[Any]) -> list[Any]:
        ordering: list[Any] = self._get_deterministic_ordering(self.model_admin.get_ordering(request))  # type: ignore[attr-defined]  # not in the stubs
        return ordering

    def older_query(self) -> str:
        """Return the query of the rows after this page, for a list that has more than its pages show."""
        last = list(self.result_list)[-1]
        field = newest_first(self.model_admin)
        return self.get_query_string({"before": place_of(getattr(last, field), last.pk)}, remove=[PAGE_VAR])

    def chips(self) -> list[Chip]:
        """Return the filters in use, each with the address of the list without it."""
        return [chip for spec in self.filter_specs if isinstance(spec, EvidenceFilter) for chip in spec.chips(self)]


class EvidenceAdmin(ReadOnlyAdmin):
    """Base of the admins of history. A subclass filters by `EvidenceFilter`s alone and has an index for each.

    `search_fields` only opens the search box; what is searched says `get_search_results` of the subclass.
    """

    change_list_template = "admin/evidence_change_list.html"
    paginator = CappedPaginator
    show_full_result_count = False
    show_facets = ShowFacets.NEVER
    list_max_show_all = 0
    list_per_page = 50
    sortable_by = ()

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        title = str(self.opts.verbose_name_plural)
        return super().changelist_view(request, {"title": title[:1].upper() + title[1:]} | (extra_context or {}))

    @admin.display(description=mark_safe('<input type="checkbox" id="action-toggle">'))
    def action_checkbox(self, row: Model) -> SafeString:
        """Return the box that selects a row, as Django does, but past a template, which took a sixth of a page."""
        label = _("Select this object for an action - {}").format(row)
        form = '<input type="checkbox" name="{}" value="{}" class="action-select" aria-label="{}">'
        return format_html(form, ACTION_CHECKBOX_NAME, row.pk, label)

    def get_list_filter(self, request: HttpRequest) -> list[Any]:
        return [*super().get_list_filter(request), OlderFilter]

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return EvidenceChangeList

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        """Allow the filters' own parameters, and no field of the model: a digest could be guessed by its start."""
        filters = cast("list[type[EvidenceFilter]]", [*self.list_filter, OlderFilter])
        return any(lookup in listed.parameters for listed in filters)
