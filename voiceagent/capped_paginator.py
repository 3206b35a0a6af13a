"""Pages of a list that may be long: counts no further than anybody reads."""

from typing import Any, Final

from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.utils.functional import cached_property

COUNT_CAP: Final = 10_000


def capped_count(queryset: QuerySet[Any]) -> int:
    """Return how many rows a query finds, or COUNT_CAP + 1 when they are more: the database stops there."""
    return queryset.order_by()[: COUNT_CAP + 1].count()


class CappedPaginator(Paginator[Any]):
    """Pages of the first 10,000 rows. What lies behind is reached by a narrower filter, such as earlier days."""

    @cached_property
    def count(self) -> int:
        return min(self._found, COUNT_CAP)

    @property
    def is_capped(self) -> bool:
        return self._found > COUNT_CAP

    @cached_property
    def _found(self) -> int:
        assert isinstance(self.object_list, QuerySet)
        return capped_count(self.object_list)
