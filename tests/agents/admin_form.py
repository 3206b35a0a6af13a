"""What a browser would send back of a form that it was shown."""

from typing import Any

from django.forms import BaseForm
from django.test import Client

Fields = dict[str, Any]  # what the test client posts


def shown_fields(client: Client, url: str) -> Fields:
    """Return the fields of a page of the administration as they are filled in."""
    context = client.get(url).context
    forms: list[BaseForm] = [context["adminform"].form]
    for inline in context["inline_admin_formsets"]:
        forms += [inline.formset.management_form, *inline.formset.forms]
    return {field.html_name: _sent(field.value()) for form in forms for field in form if _is_sent(field.value())}


def _is_sent(value: object) -> bool:
    return value is not None and value is not False


def _sent(value: object) -> object:
    return "on" if value is True else value
