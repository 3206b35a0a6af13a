"""Search in a history by whose it is: a user's name as a whole or its start, quick for any name."""

from typing import Any, Final

from django.contrib.auth.models import User
from django.db.models import QuerySet

from voiceagent.capped_paginator import COUNT_CAP, capped_count

MAX_NAMES: Final = 100


def of_user_named(queryset: QuerySet[Any], start: str) -> QuerySet[Any]:
    """Keep the rows whose `username` is a name, or starts so for users that exist; a former user's needs it whole.

    Few rows are found by the index of names and sorted; of many the list's own order soon brings the newest. SQLite
    cannot know which is quicker, so the rows are counted first, as far as that decides.
    """
    names = User.objects.filter(username__startswith=start).order_by("username").values_list("username", flat=True)
    found = {start, *names[:MAX_NAMES]}
    if len(found) == 1:
        return queryset.filter(username=start)
    if capped_count(queryset.model._default_manager.filter(username__in=found)) <= COUNT_CAP:
        return queryset.filter(username__in=found)
    return queryset.filter(username__startswith=start)
