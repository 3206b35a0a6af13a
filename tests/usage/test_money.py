"""Money: integers inside, dollars in forms."""

import pytest
from django.core.exceptions import ValidationError

from usage.money import DollarsField, MicrodollarsField, dollars


@pytest.mark.parametrize(
    ("microdollars", "text"),
    [(0, "0.00"), (2_500_000, "2.50"), (6_946, "0.006946"), (1, "0.000001"), (10_000_000, "10.00"), (1_100, "0.0011")],
)
def test_an_amount_is_written_in_dollars(microdollars: int, text: str) -> None:
    assert dollars(microdollars) == text
    assert DollarsField().clean(text) == microdollars


@pytest.mark.parametrize("text", ["-1", "0.0000001", "1e400", "NaN", "two", "1234567890.00"])
def test_what_is_no_amount_is_refused(text: str) -> None:
    field = MicrodollarsField().formfield()

    with pytest.raises(ValidationError):
        field.clean(text)


def test_a_form_sees_whether_an_amount_was_changed() -> None:
    field = DollarsField(required=False)

    assert field.prepare_value(2_500_000) == "2.50"
    assert not field.has_changed(2_500_000, "2.5")
    assert field.has_changed(2_500_000, "2.51")
    assert field.has_changed(None, "0")
    assert not field.has_changed(None, "")
    assert field.clean("") is None
