"""The form of an agent's next version. It begins with what the newest says; what is changed of that is a draft."""

from typing import Any, Final

from django import forms
from django.core.exceptions import ValidationError
from django.forms.models import BaseInlineFormSet

from agents.functions import tool_names
from agents.guardrail_checks import check_names
from agents.models import CONTENT, Agent, AgentVersion, Guardrail
from agents.rules import CATEGORIES
from realtime_api.session import VOICES

# A note says something about a change, and the base is what was changed.
NOT_CONTENT: Final = frozenset({"note", "base"})


class NamesField(forms.CharField):
    """A list of names, written with commas between them."""

    def prepare_value(self, value: Any) -> Any:
        return ", ".join(value) if isinstance(value, list) else value

    def to_python(self, value: Any) -> Any:
        names = value if isinstance(value, list) else (super().to_python(value) or "").split(",")
        return [name.strip() for name in names if name.strip()]

    def has_changed(self, initial: Any, data: Any) -> bool:
        return bool(self.to_python(initial or "") != self.to_python(data))


class ChoicesField(forms.MultipleChoiceField):
    """Some of a few names, in the order in which they are offered."""

    widget = forms.CheckboxSelectMultiple


class VersionForm(forms.ModelForm[AgentVersion]):
    base = forms.IntegerField(widget=forms.HiddenInput, required=False)
    voices = ChoicesField(
        choices=[(voice, voice.title()) for voice in VOICES], required=False, label="Voices to choose from",
        help_text="People may take one of these instead. None: the voice is fixed.",
    )  # fmt: skip
    other_languages = NamesField(required=False, help_text="Others that people may speak: de, fr.")
    tools = ChoicesField(required=False, help_text="What it can do. They run on the server.")
    guardrails = ChoicesField(required=False, help_text="What it may not say, or be asked.")
    handoffs = ChoicesField(required=False, help_text="The agents that it may hand a call to, by their descriptions.")

    class Meta:
        model = AgentVersion
        fields = [*CONTENT, "note"]
        widgets = {
            "instructions": forms.Textarea(attrs={"rows": 12, "cols": 80}),
            "greeting": forms.TextInput(attrs={"size": 80}),
            "transcription_prompt": forms.TextInput(attrs={"size": 80}),
            "note": forms.TextInput(attrs={"size": 80}),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        others = Agent.objects.exclude(pk=self.instance.agent_id).order_by("name").values_list("slug", "name")
        self.fields["tools"].choices = list(tool_names().items())  # type: ignore[attr-defined]  # a ChoicesField
        rails = Guardrail.objects.values_list("slug", "name")
        self.fields["guardrails"].choices = list(rails)  # type: ignore[attr-defined]  # a ChoicesField
        self.fields["handoffs"].choices = list(others)  # type: ignore[attr-defined]  # a ChoicesField

    def has_changed(self) -> bool:
        """A draft needs something that differs, besides a note; a page that is out of date is told so all the same."""
        return self._is_outdated() or bool(set(self.changed_data) - NOT_CONTENT)

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean()
        if self._is_outdated():
            raise ValidationError(
                "Somebody saved another version meanwhile. Open this page anew, and change that one.", code="outdated"
            )
        return cleaned

    def _is_outdated(self) -> bool:
        return self.is_bound and "base" in self.changed_data


class VersionFormSet(BaseInlineFormSet[AgentVersion, Agent, VersionForm]):
    """One form, for the next version. What is saved is listed elsewhere."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.is_bound and self.instance.pk:  # of two who save at once, the second is told of the first
            Agent.objects.select_for_update().get(pk=self.instance.pk)
        self._newest = self.instance.versions.first() if self.instance.pk else None
        if self._newest is not None:
            self.initial_extra = [{"base": self._newest.number}]

    def get_form_kwargs(self, index: int | None) -> dict[str, Any]:
        """Begin with the newest version, also in what the form does not show; a first version has to be filled in."""
        content = self._newest.content() if self._newest else {}
        return {"instance": AgentVersion(agent=self.instance, **content), "empty_permitted": self._newest is not None}


class GuardrailForm(forms.ModelForm[Guardrail]):
    categories = ChoicesField(choices=[(name, name) for name in CATEGORIES], required=False)
    check_name = forms.ChoiceField(required=False, label="Function", help_text="From an app's voice_guardrails.py.")

    class Meta:
        model = Guardrail
        fields = [
            "name", "slug", "enabled", "records_only", "side", "kind", "words", "pattern", "categories", "check_name",
            "safe_line",
        ]  # fmt: skip

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        names = [("", "None"), *((name, name) for name in check_names())]
        self.fields["check_name"].choices = names  # type: ignore[attr-defined]  # a ChoiceField
