"""Video frames, exact to the frame, from whole and from broken files."""

from __future__ import annotations

import io
import random
import time
from typing import IO, TYPE_CHECKING

import av
import pytest
from PIL import Image

from frames.media import MediaError
from frames.models import PreviewReason
from frames.previews import video
from frames.previews.rendered import Rendered
from frames.previews.video import render_video_frames
from tests.previews.videos import make_video, number_in, rotated

if TYPE_CHECKING:
    from pathlib import Path

FRAME_MS = 1000 / 30


def render(
    data: bytes | IO[bytes], *timestamps_ms: float, edge_px: int = 320
) -> dict[float, int | PreviewReason]:
    """Return, by time, the number of the frame shown or why there is none."""
    file = io.BytesIO(data) if isinstance(data, bytes) else data
    found = render_video_frames(file, timestamps_ms, edge_px=edge_px, max_pixels=10_000_000)
    return {
        timestamp_ms: number_in(result.data) if isinstance(result, Rendered) else result.reason
        for timestamp_ms, result in found
    }


@pytest.mark.parametrize(
    ("container", "codec", "b_frames"),
    [
        ("mp4", "libx264", 0),
        ("mp4", "libx264", 3),
        ("matroska", "libx264", 3),
        ("mpegts", "libx264", 2),
        ("avi", "mpeg4", 0),
        ("webm", "libvpx", 0),
        ("mov", "mjpeg", 0),
    ],
)
def test_every_frame_at_its_time(container: str, codec: str, b_frames: int) -> None:
    data = make_video(60, container=container, codec=codec, b_frames=b_frames)
    times = [number * FRAME_MS for number in range(60)]
    assert render(data, *times) == {at: number for number, at in enumerate(times)}


@pytest.mark.parametrize(
    ("container", "codec"),
    [("mp4", "libx264"), ("matroska", "libx264"), ("mpegts", "libx264"), ("webm", "libvpx")],
)
def test_few_frames_of_a_long_video(container: str, codec: str) -> None:
    """Sought, by index or without one: the same frames as decoded from the start."""
    data = make_video(400, container=container, codec=codec, key_every=40)
    numbers = sorted(random.Random(1).sample(range(400), 12))
    times = [number * FRAME_MS for number in numbers]
    assert render(data, *times) == dict(zip(times, numbers, strict=True))
    for number, at in zip(numbers, times, strict=True):
        assert render(data, at) == {at: number}


def test_the_nearest_frame_is_shown() -> None:
    data = make_video(30)
    assert render(data, 33, 34, 49, 51, 66.6) == {33: 1, 34: 1, 49: 1, 51: 2, 66.6: 2}


def test_the_same_time_is_decoded_once_and_times_need_no_order() -> None:
    data = make_video(30)
    assert render(data, 500, 100, 0) == {0: 0, 100: 3, 500: 15}


def test_frames_at_irregular_times() -> None:
    data = make_video(
        6, times=[0, 40, 1000, 1040, 3000, 3040], container="matroska", key_every=2, b_frames=0
    )
    assert render(data, 0, 40, 400, 900, 1040, 2900, 3041) == {
        0: 0,
        40: 1,
        400: 1,
        900: 2,
        1040: 3,
        2900: 4,
        3041: 5,
    }


@pytest.mark.parametrize("container", ["mpegts", "matroska", "mp4"])
def test_a_video_that_starts_late(container: str) -> None:
    """Times count from the first frame on, whatever clock the file carries."""
    data = make_video(60, start=90, container=container)
    assert render(data, 0, 1000, 59 * FRAME_MS) == {0: 0, 1000: 30, 59 * FRAME_MS: 59}


def test_after_the_end_and_before_the_start() -> None:
    data = make_video(30)
    assert render(data, -1000, -1, 980, 1040, 60_000) == {
        -1000: PreviewReason.OUT_OF_RANGE,
        -1: 0,
        980: 29,
        1040: PreviewReason.OUT_OF_RANGE,
        60_000: PreviewReason.OUT_OF_RANGE,
    }


def test_a_video_that_is_cut_off(tmp_path: Path) -> None:
    """What is there is shown; what the index promises and the data lacks is damage."""
    path = tmp_path / "whole.mp4"
    with (
        av.open(io.BytesIO(make_video(120)), "r") as source,
        av.open(str(path), "w", options={"movflags": "faststart"}) as output,
    ):
        stream = output.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(source.streams.video[0]):
            if packet.dts is not None:
                packet.stream = stream
                output.mux(packet)
    data = path.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")
    found = render(data[: len(data) * 2 // 3], 0, 1000, 3500, 60_000)
    assert (found[0], found[1000]) == (0, 30)
    assert found[3500] is PreviewReason.CODEC
    assert found[60_000] is PreviewReason.OUT_OF_RANGE


def test_a_file_whose_index_is_cut_off() -> None:
    with pytest.raises(MediaError) as caught:
        render(make_video(30)[:-600], 0)
    assert caught.value.reason is PreviewReason.CODEC


@pytest.mark.parametrize(
    ("degrees", "size", "corner"),
    [
        (0, (320, 160), "left"),
        (90, (160, 320), "top"),
        (180, (320, 160), "right"),
        (270, (160, 320), "bottom"),
    ],
)
def test_rotation_is_honoured(degrees: int, size: tuple[int, int], corner: str) -> None:
    """The number 31 is white on its left half: on top after a quarter turn clockwise."""
    video = rotated(make_video(32), degrees)
    ((_, result),) = render_video_frames(
        io.BytesIO(video), [31 * FRAME_MS], edge_px=320, max_pixels=10_000_000
    )
    assert isinstance(result, Rendered)
    assert (result.width, result.height) == size
    assert (result.original_width, result.original_height) == size
    image = Image.open(io.BytesIO(result.data)).convert("L")
    points = {
        "left": (10, size[1] // 2),
        "right": (size[0] - 10, size[1] // 2),
        "top": (size[0] // 2, 10),
        "bottom": (size[0] // 2, size[1] - 10),
    }
    white = {name for name, point in points.items() if image.getpixel(point) > 200}  # type: ignore[operator]
    assert corner in white
    opposite = {"left": "right", "right": "left", "top": "bottom", "bottom": "top"}
    assert opposite[corner] not in white


def test_a_frame_is_scaled_to_the_edge_and_never_up() -> None:
    data = make_video(2)
    for edge_px, size in ((100, (100, 50)), (320, (320, 160)), (1280, (320, 160))):
        ((_, result),) = render_video_frames(
            io.BytesIO(data), [0], edge_px=edge_px, max_pixels=10_000_000
        )
        assert isinstance(result, Rendered)
        assert (result.width, result.height) == size
        assert (result.original_width, result.original_height) == (320, 160)
        assert not result.original_displayable


def test_a_frame_over_the_cap_is_not_decoded() -> None:
    with pytest.raises(MediaError) as caught:
        list(
            render_video_frames(
                io.BytesIO(make_video(2)), [0], edge_px=320, max_pixels=320 * 160 - 1
            )
        )
    assert caught.value.reason is PreviewReason.TOO_LARGE


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"<!doctype html><p>Sign in</p>", id="html"),
        pytest.param(bytes(100_000), id="zeros"),
        pytest.param(random.Random(1).randbytes(100_000), id="noise"),
        pytest.param(
            b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:///etc/passwd\n", id="hls"
        ),
        pytest.param(b"ffconcat version 1.0\nfile /etc/passwd\n", id="concat"),
    ],
)
def test_what_is_no_video(data: bytes) -> None:
    with pytest.raises(MediaError) as caught:
        render(data, 0)
    assert caught.value.reason in {PreviewReason.CODEC, PreviewReason.NOT_AN_IMAGE}


def test_sound_alone_is_no_video() -> None:
    file = io.BytesIO()
    with av.open(file, "w", format="wav") as output:
        stream = output.add_stream("pcm_s16le", rate=8000)
        frame = av.AudioFrame(format="s16", layout="mono", samples=800)
        frame.sample_rate = 8000
        output.mux(stream.encode(frame))
    with pytest.raises(MediaError):
        render(file.getvalue(), 0)


def test_noise_inside_a_video_never_escapes_as_another_error() -> None:
    """Each damaged copy gives frames or named failures."""
    whole = make_video(60)
    noise = random.Random(7)
    for _ in range(40):
        data = bytearray(whole)
        for _ in range(noise.randrange(1, 200)):
            data[noise.randrange(len(data))] = noise.randrange(256)
        try:
            for _, result in render_video_frames(
                io.BytesIO(data), [0, 500, 1500], edge_px=64, max_pixels=10_000_000
            ):
                assert isinstance(result, Rendered | MediaError)
        except MediaError:
            pass


def test_decoding_stops_when_its_time_is_over() -> None:
    """The rest is not answered, so that it can be asked for again."""
    data = make_video(200, key_every=200)
    found = list(
        render_video_frames(
            io.BytesIO(data), [0, 6000, 6500], edge_px=320, max_pixels=10_000_000, budget_s=0.0
        )
    )
    assert len(found) == 1
    timestamp_ms, error = found[0]
    assert timestamp_ms == 0
    assert isinstance(error, MediaError)
    assert (error.reason, error.retryable) == (PreviewReason.TIMED_OUT, True)


def test_a_reader_that_fails_says_why() -> None:
    """The network's own reason comes through FFmpeg unchanged."""

    class Failing(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise MediaError(PreviewReason.TIMED_OUT, "too slow", retryable=True)

    with pytest.raises(MediaError) as caught:
        render(Failing(), 0)
    assert caught.value.reason is PreviewReason.TIMED_OUT


def test_a_dense_run_is_decoded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    seeks: list[float] = []
    seek = video._Decoder._seek

    def counted(self: video._Decoder, time_s: float) -> None:
        seeks.append(time_s)
        seek(self, time_s)

    monkeypatch.setattr(video._Decoder, "_seek", counted)
    data = make_video(120, key_every=60)
    render(data, *(number * FRAME_MS for number in range(0, 120, 2)))
    assert len(seeks) <= 1
    seeks.clear()
    render(data, 0, 110 * FRAME_MS)
    assert len(seeks) == 1


def test_sequential_decoding_is_fast_enough() -> None:
    """No seeking nor scaling in Pillow by mistake: 300 small frames take well under a second."""
    data = make_video(300)
    began = time.process_time()
    assert len(render(data, *(number * FRAME_MS for number in range(300)))) == 300
    assert time.process_time() - began < 5
