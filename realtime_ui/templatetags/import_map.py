"""`{% import_map %}`: from the plain URL of each of our modules to the hashed one that may be cached for ever."""

import json
from pathlib import Path

from django import template
from django.conf import settings
from django.template.context import RequestContext
from django.templatetags.static import static
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

register = template.Library()


@register.simple_tag(takes_context=True)
def import_map(context: RequestContext, folder: str = "") -> SafeString:
    """Print the import map as an inline script with the request's nonce, the only inline script there is.

    folder: such as `voiceagent/js/`, for a page whose modules are all in there.
    """
    imports = {settings.STATIC_URL + path: static(path) for path in module_paths(folder)}
    text = json.dumps({"imports": imports}, indent=1).replace("<", "\\u003c")
    request = context["request"]
    return format_html('<script type="importmap" nonce="{}">{}</script>', request.csp_nonce, mark_safe(text))  # noqa: S308  (our own file names; `<` is escaped above)


def module_paths(folder: str = "") -> list[str]:
    """Return the static paths of our own modules, such as `realtime_ui/js/voice.js`: of a folder, or all sources."""
    root = Path(settings.BASE_DIR) / "static"
    modules = sorted(root.glob(f"{folder}**/*.js" if folder else "*/js/**/*.js"))
    return [module.relative_to(root).as_posix() for module in modules]
