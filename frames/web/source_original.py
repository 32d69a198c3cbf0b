"""The original bytes of a source, streamed through the server: no key and no bucket in a page."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

from django.http import Http404, HttpResponse
from django.utils.http import content_disposition_header
from django.views.decorators.http import require_safe

from frames.media import MediaError, open_uri, policy_for
from frames.models import PreviewReason
from frames.previews.spec import PREVIEW_EDGE_PX, spec_for
from frames.web import access
from frames.web.ranges import ranged_response

if TYPE_CHECKING:
    from django.http import StreamingHttpResponse

    from frames.models import Project
    from frames.web.http import SignedInRequest

_STATUS: Final = {
    PreviewReason.NOT_FOUND: 404,
    PreviewReason.FORBIDDEN: 403,
    PreviewReason.NOT_ALLOWED: 403,
    PreviewReason.PRIVATE_ADDRESS: 403,
    PreviewReason.TOO_LARGE: 413,
    PreviewReason.TIMED_OUT: 504,
}
# What a browser shows and cannot run. The bytes decide; what a producer declares is not asked.
_SIGNATURES: Final = (
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"GIF87a", "image/gif"),
    (0, b"GIF89a", "image/gif"),
    (8, b"WEBP", "image/webp"),
    (4, b"ftypavif", "image/avif"),
    (4, b"ftyp", "video/mp4"),
    (0, b"\x1a\x45\xdf\xa3", "video/webm"),
    (0, b"BM", "image/bmp"),
)


@require_safe
def source_original(
    request: SignedInRequest, source_pk: int
) -> HttpResponse | StreamingHttpResponse:
    """Stream a source's bytes, or the one range asked for.

    Anything but a picture or a video comes as a file to save, and nothing of it can run.
    """
    source, project = access.source_or_404(request.user, source_pk)
    return _stream(request, source.uri, project)


@require_safe
def source_preview(
    request: SignedInRequest, source_pk: int
) -> HttpResponse | StreamingHttpResponse:
    """Stream the bytes of the preview that came with a source, as its own are."""
    source, project = access.source_or_404(request.user, source_pk)
    if not source.preview:
        raise Http404
    return _stream(request, spec_for(source, PREVIEW_EDGE_PX).uri, project)


def _stream(
    request: SignedInRequest, uri: str, project: Project
) -> HttpResponse | StreamingHttpResponse:
    policy = policy_for(project)
    with ExitStack() as stack:
        try:
            file = stack.enter_context(open_uri(uri, policy, max_bytes=policy.max_video_bytes))
            content_type = sniff(file.read(16))
            size = file.size if file.size is not None else file.seek(0, 2)
        except MediaError as error:
            return HttpResponse(
                error.detail,
                content_type="text/plain; charset=utf-8",
                status=_STATUS.get(error.reason, 502),
            )
        response = ranged_response(request, stack, file, size, content_type)
    response["Cache-Control"] = "private, max-age=3600"
    name = uri.rstrip("/").rpartition("/")[2] or "original"
    as_attachment = content_type == "application/octet-stream"
    disposition = content_disposition_header(as_attachment, name[-200:])
    if disposition:
        response["Content-Disposition"] = disposition
    return response


def sniff(head: bytes) -> str:
    """Return the content type that the first 16 bytes prove, else application/octet-stream."""
    for offset, signature, content_type in _SIGNATURES:
        if head[offset : offset + len(signature)] == signature:
            return content_type
    return "application/octet-stream"
