"""Opens videos with FFmpeg, which would otherwise also open what they name."""

from __future__ import annotations

from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any, Final

import av
import av.error
import av.logging

from frames.media.errors import MediaError
from frames.models import PreviewReason

if TYPE_CHECKING:
    from collections.abc import Iterator

    from av.container import InputContainer
    from av.video.stream import VideoStream

# FFmpeg knows hundreds of each; some open other files and addresses (hls, concat, dash).
CONTAINERS: Final = (
    "asf,avi,flv,h264,hevc,ivf,m4v,matroska,webm,mjpeg,mov,mp4,m4a,3gp,3g2,mj2,mpeg,mpegts,"
    "mpegvideo,mxf,ogg,yuv4mpegpipe"
)
CODECS: Final = (
    "av1,libdav1d,dnxhd,dvvideo,ffv1,flv,h263,h264,hevc,huffyuv,ffvhuff,jpeg2000,mjpeg,"
    "mpeg1video,mpeg2video,mpeg4,msmpeg4v2,msmpeg4,png,prores,rawvideo,theora,utvideo,vc1,vp6f,"
    "vp8,libvpx,vp9,libvpx-vp9,wmv1,wmv2,wmv3"
)

av.logging.set_level(av.logging.PANIC)


def damaged() -> MediaError:
    """Return the error of a video that cannot be decoded."""
    return MediaError(
        PreviewReason.CODEC, "The video is damaged or cut off, or its codec is not supported."
    )


def _refuse_nested(url: str, flags: int, options: dict[str, Any]) -> IO[bytes]:
    """Keep a container from opening what it names: only its own bytes are read."""
    raise MediaError(PreviewReason.NOT_ALLOWED, "The video refers to other files.")


@contextmanager
def open_video(file: IO[bytes], max_pixels: int) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open a video's container and its first video stream; one thread decodes it.

    Raises:
        MediaError: CODEC, TOO_LARGE, or NOT_AN_IMAGE where the file holds no video; CODEC also
            for errors of FFmpeg inside the block.
    """
    try:
        opened = av.open(
            file,
            mode="r",
            container_options={"format_whitelist": CONTAINERS, "codec_whitelist": CODECS},
            io_open=_refuse_nested,
        )
    except (av.error.FFmpegError, ValueError) as error:
        raise damaged() from error
    try:
        with opened as container:
            if not container.streams.video:
                raise MediaError(PreviewReason.NOT_AN_IMAGE, "The file holds no video.")
            stream = container.streams.video[0]
            context = stream.codec_context
            if context is None:
                raise damaged()
            if context.width * context.height > max_pixels:
                raise MediaError(
                    PreviewReason.TOO_LARGE,
                    f"The video has {context.width} x {context.height} pixels; "
                    f"the limit is {max_pixels / 1e6:g} million.",
                )
            # Workers are processes: more threads would only take the other workers' cores.
            context.thread_count = 1
            # The size may change in the middle of a stream.
            context.options = {"max_pixels": str(max_pixels)}
            yield container, stream
    except av.error.FFmpegError as error:
        raise damaged() from error
