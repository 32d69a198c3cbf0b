"""The template tag that draws what a page shows by the hundred."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from django import template
from django.template import engines

if TYPE_CHECKING:
    from django.template.backends.jinja2 import Jinja2
    from markupsafe import Markup

register = template.Library()


@register.simple_tag
def piece(name: str, *arguments: Any, **options: Any) -> Markup:
    """Return what a macro of templates/pieces.jinja draws; what it is given is escaped there."""
    macros = cast("Jinja2", engines["pieces"]).env.get_template("pieces.jinja").module
    drawn: Markup = getattr(macros, name)(*arguments, **options)
    return drawn
