"""Whether the process answers, and whether it can do its work."""

from __future__ import annotations

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe


@login_not_required
@require_safe
def livez(request: HttpRequest) -> HttpResponse:
    """Answer that the process lives, whatever else does not."""
    return HttpResponse("ok\n", content_type="text/plain")
