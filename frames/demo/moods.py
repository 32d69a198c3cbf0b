"""The weathers and hours in which the demo's street is seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

Color = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Mood:
    """Colours of one hour and weather; `fog_m` is the distance at which 63 % is fog."""

    name: str
    weather: str
    time_of_day: str
    sky: Color
    horizon: Color
    glow: Color
    sun: tuple[float, float] | None
    fog_m: float
    light: float
    tint: Color
    road: Color
    pavement: Color
    grass: Color
    leaves: tuple[Color, ...]
    walls: tuple[Color, ...]
    window: Color
    lit_share: float
    lamps_on: bool = False
    wet: bool = False
    clouds: Color | None = None


_BRICK: Final[tuple[Color, ...]] = (
    (196, 126, 98),
    (214, 178, 140),
    (226, 206, 178),
    (168, 104, 88),
    (188, 190, 196),
    (208, 158, 122),
    (158, 170, 182),
)
_LEAVES: Final[tuple[Color, ...]] = ((92, 138, 74), (110, 152, 78), (78, 122, 70), (128, 160, 84))

CLEAR: Final = Mood(
    name="clear",
    weather="clear",
    time_of_day="morning",
    sky=(74, 136, 204),
    horizon=(214, 230, 240),
    glow=(255, 246, 220),
    sun=(0.74, 0.16),
    fog_m=190.0,
    light=1.0,
    tint=(255, 250, 240),
    road=(92, 96, 104),
    pavement=(184, 180, 174),
    grass=(126, 152, 92),
    leaves=_LEAVES,
    walls=_BRICK,
    window=(86, 112, 138),
    lit_share=0.04,
    clouds=(255, 255, 255),
)
GOLDEN: Final = Mood(
    name="golden",
    weather="clear",
    time_of_day="evening",
    sky=(88, 104, 158),
    horizon=(255, 206, 148),
    glow=(255, 226, 168),
    sun=(0.42, 0.36),
    fog_m=130.0,
    light=0.92,
    tint=(255, 222, 186),
    road=(94, 88, 94),
    pavement=(178, 158, 146),
    grass=(140, 138, 82),
    leaves=((146, 132, 66), (164, 128, 62), (120, 118, 62), (178, 140, 72)),
    walls=_BRICK,
    window=(104, 96, 108),
    lit_share=0.22,
    clouds=(255, 192, 156),
)
RAIN: Final = Mood(
    name="rain",
    weather="rain",
    time_of_day="dusk",
    sky=(64, 74, 98),
    horizon=(148, 152, 166),
    glow=(176, 170, 172),
    sun=None,
    fog_m=85.0,
    light=0.62,
    tint=(222, 226, 246),
    road=(70, 74, 84),
    pavement=(134, 134, 142),
    grass=(92, 108, 84),
    leaves=((64, 88, 66), (74, 98, 70), (56, 78, 62), (84, 104, 72)),
    walls=_BRICK,
    window=(58, 66, 84),
    lit_share=0.45,
    lamps_on=True,
    wet=True,
    clouds=(112, 118, 136),
)
NIGHT: Final = Mood(
    name="night",
    weather="cloudy",
    time_of_day="night",
    sky=(14, 20, 42),
    horizon=(62, 66, 92),
    glow=(96, 92, 108),
    sun=None,
    fog_m=75.0,
    light=0.52,
    tint=(206, 214, 255),
    road=(58, 60, 72),
    pavement=(106, 106, 118),
    grass=(62, 76, 66),
    leaves=((40, 58, 52), (48, 66, 56), (34, 50, 48), (54, 70, 56)),
    walls=_BRICK,
    window=(34, 40, 58),
    lit_share=0.5,
    lamps_on=True,
)
FOG: Final = Mood(
    name="fog",
    weather="fog",
    time_of_day="morning",
    sky=(196, 202, 208),
    horizon=(214, 217, 220),
    glow=(238, 236, 230),
    sun=(0.3, 0.2),
    fog_m=34.0,
    light=0.86,
    tint=(246, 248, 255),
    road=(112, 116, 122),
    pavement=(172, 172, 172),
    grass=(138, 150, 122),
    leaves=_LEAVES,
    walls=_BRICK,
    window=(110, 122, 136),
    lit_share=0.12,
    lamps_on=True,
)
MOODS: Final = (CLEAR, GOLDEN, RAIN, NIGHT, FOG)
