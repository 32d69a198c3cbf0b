"""When the frames of a video are shown, and which of them are taken."""

from __future__ import annotations

import io
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from frames.formats.base import FormatError
from frames.formats.video import Sampling, read_times
from frames.media import MediaError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

MAX_PIXELS = 10_000_000


def make_video(
    ticks: Sequence[int],
    *,
    container: str = "mp4",
    codec: str = "libx264",
    time_base: Fraction = Fraction(1, 1000),
    rotation: int = 0,
    **options: str,
) -> bytes:
    """Return a 64 x 48 video whose frames are shown at these ticks."""
    file = io.BytesIO()
    with av.open(file, "w", format=container) as output:
        stream: Any = output.add_stream(codec, rate=30, options=options)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.time_base = stream.codec_context.time_base = time_base
        if rotation:
            stream.set_display_rotation(rotation)
        for number, tick in enumerate(ticks):
            picture = np.full((48, 64, 3), number * 9 % 256, dtype=np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = tick, time_base
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return file.getvalue()


def times(data: bytes) -> list[float]:
    return list(read_times(io.BytesIO(data), MAX_PIXELS).times_ms)


def test_constant_rate() -> None:
    data = make_video(range(10), time_base=Fraction(1, 30))
    assert times(data) == [round(number * 1000 / 30, 3) for number in range(10)]


def test_frames_stored_out_of_order_are_in_the_order_of_showing() -> None:
    """With B-frames the packets are stored in another order."""
    data = make_video(range(0, 1200, 40), bf="3", g="30")
    assert times(data) == list(range(0, 1200, 40))


def test_variable_rate() -> None:
    ticks = [0, 33, 70, 71, 500, 1500, 1540]
    assert times(make_video(ticks, bf="0")) == ticks


def test_the_first_frame_is_at_zero_wherever_the_clock_began() -> None:
    """As previews count, and as players show it."""
    ticks = [90_000 + number * 3_000 for number in range(5)]
    data = make_video(ticks, container="mpegts", time_base=Fraction(1, 90_000), bf="0")
    assert times(data) == pytest.approx([n * 1000 / 30 for n in range(5)], abs=0.002)


@pytest.mark.parametrize(("rotation", "size"), [(0, (64, 48)), (90, (48, 64)), (180, (64, 48))])
def test_the_size_is_the_one_that_is_shown(rotation: int, size: tuple[int, int]) -> None:
    data = make_video(range(0, 90, 30), rotation=rotation)
    video = read_times(io.BytesIO(data), MAX_PIXELS)
    assert (video.width, video.height) == size


def test_a_video_that_is_cut_off_has_the_frames_that_are_there() -> None:
    data = make_video(range(0, 3000, 33), container="matroska", bf="0")
    found = times(data[: len(data) // 2])
    assert 10 < len(found) < 91
    assert found == list(range(0, 3000, 33))[: len(found)]


@pytest.mark.parametrize("data", [b"", b"<html></html>", b"\0" * 5000], ids=range(3))
def test_what_is_no_video_is_an_error(data: bytes) -> None:
    with pytest.raises(MediaError):
        read_times(io.BytesIO(data), MAX_PIXELS)


def test_a_playlist_opens_nothing(tmp_path: Path) -> None:
    """Formats that name other files would read them with the server's rights."""
    target = tmp_path / "secret.mp4"
    target.write_bytes(make_video([0, 40]))
    playlist = f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{target}\n#EXT-X-ENDLIST\n"
    with pytest.raises(MediaError):
        read_times(io.BytesIO(playlist.encode()), MAX_PIXELS)


def test_a_video_over_the_limit_of_pixels_is_not_read() -> None:
    with pytest.raises(MediaError, match="64 x 48"):
        read_times(io.BytesIO(make_video([0])), 64 * 48 - 1)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [0, 1000, 2000]),
        ({"every_frames": 1}, list(range(0, 2600, 200))),
        ({"every_frames": 5}, [0, 1000, 2000]),
        ({"every_frames": "6"}, [0, 1200, 2400]),
        ({"every_ms": 500}, [0, 600, 1000, 1600, 2000]),
        ({"every_ms": 1}, list(range(0, 2600, 200))),
        ({"every_ms": 1e9}, [0]),
    ],
)
def test_sampling(options: dict[str, Any], expected: list[float]) -> None:
    assert list(Sampling.from_options(options).pick(range(0, 2600, 200))) == expected


def test_rounded_times_count_as_what_they_were() -> None:
    """At 30 frames a second the 31st is at 1000 ms, whatever was cut off behind the comma."""
    ticks = [round(number * 1000 / 30 - 0.0004, 3) for number in range(61)]
    assert len(list(Sampling(every_ms=1000).pick([max(0.0, tick) for tick in ticks]))) == 3


@pytest.mark.parametrize(
    "options",
    [
        {"every_frames": 0},
        {"every_frames": -2},
        {"every_frames": "x"},
        {"every_frames": [1]},
        {"every_ms": 0},
        {"every_ms": float("nan")},
        {"every_ms": float("inf")},
        {"every_frames": 2, "every_ms": 2},
    ],
    ids=range(8),
)
def test_refuses_senseless_sampling(options: dict[str, Any]) -> None:
    with pytest.raises(FormatError, match="every_frames"):
        Sampling.from_options(options)


@given(
    st.lists(st.floats(0, 1e6).map(lambda t: round(t, 3)), max_size=60, unique=True).map(sorted),
    st.floats(0.5, 1e6),
)
def test_one_frame_in_each_stretch_of_time(ticks: list[float], every_ms: float) -> None:
    """The first frame of each stretch is taken and no other."""
    taken = list(Sampling(every_ms=every_ms).pick(ticks))
    stretches = [int((tick + 0.001) / every_ms) for tick in taken]
    assert stretches == sorted(set(stretches))
    assert set(stretches) == {int((tick + 0.001) / every_ms) for tick in ticks}


@pytest.mark.shared_data
def test_reads_a_street_video(shared_data: Path) -> None:
    with (shared_data / "video" / "demo.mp4").open("rb") as file:
        video = read_times(file, MAX_PIXELS)
    assert (video.width, video.height, len(video.times_ms)) == (1920, 1080, 8)
