"""The file of an export, to be saved and resumed."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

from django.core.files.storage import FileSystemStorage, storages
from django.http import Http404, HttpResponseRedirect
from django.utils.http import content_disposition_header
from django.views.decorators.http import require_safe

from frames.actions import exports
from frames.formats.writers import BY_NAME
from frames.web import access
from frames.web.ranges import ranged_response

if TYPE_CHECKING:
    from django.http import HttpResponse, StreamingHttpResponse

    from frames.web.http import SignedInRequest

# Long enough to begin; a store goes on with what has begun.
BUCKET_URL_TTL_S: Final = 300


@require_safe
def job_download(
    request: SignedInRequest, job_uid: str
) -> HttpResponse | StreamingHttpResponse | HttpResponseRedirect:
    """Stream an export's file, or lead to the bucket it is kept in."""
    job = access.job_or_404(request.user, job_uid)
    if not exports.is_kept(job):
        raise Http404
    kept_as: str = job.result["file"]
    name = kept_as.rpartition("/")[2]
    disposition = content_disposition_header(True, name) or "attachment"  # noqa: FBT003
    output = BY_NAME.get(job.options["format"])
    content_type = output.content_type if output else "application/octet-stream"
    storage = storages["exports"]
    if not isinstance(storage, FileSystemStorage):
        headers = {
            "ResponseContentDisposition": disposition,
            "ResponseContentType": content_type,
        }
        url = storage.url(kept_as, parameters=headers, expire=BUCKET_URL_TTL_S)  # type: ignore[call-arg]
        return HttpResponseRedirect(url)
    with ExitStack() as stack:
        try:
            file = stack.enter_context(storage.open(kept_as))
        except FileNotFoundError as error:
            raise Http404 from error
        response = ranged_response(request, stack, file, file.size, content_type)
    response["Content-Disposition"] = disposition
    response["Cache-Control"] = "private, no-cache"
    return response
