"""What stands and moves in the demo's street: where, how large, and since when.

Everything follows from a seed, so that the same street is made again after a crash.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from frames.demo.moods import Color

LANE_M: Final = 3.4
PARKING_M: Final = 2.3
ROAD_EDGE_M: Final = LANE_M + PARKING_M
PAVEMENT_M: Final = 3.6
FRONT_M: Final = ROAD_EDGE_M + PAVEMENT_M
CROSSING_EVERY_M: Final = 95.0


@dataclass(frozen=True, slots=True)
class Body:
    """The shape of a vehicle: two frusta on wheels, in metres."""

    length: float
    width: float
    height: float
    belt: float
    roof_front: float
    roof_back: float
    roof_width: float
    wheel: float
    axles: tuple[float, ...]


CAR: Final = Body(4.3, 1.8, 1.5, 0.86, 0.62, 0.12, 0.78, 0.33, (0.18, 0.8))
VAN: Final = Body(5.2, 2.0, 2.2, 1.1, 0.24, 0.02, 0.88, 0.36, (0.17, 0.8))
TRUCK: Final = Body(8.4, 2.5, 3.4, 1.3, 0.03, 0.0, 0.98, 0.5, (0.14, 0.72, 0.86))
BUS: Final = Body(11.5, 2.55, 3.1, 1.2, 0.03, 0.02, 0.96, 0.48, (0.2, 0.78))
BODIES: Final = {"car": CAR, "van": VAN, "truck": TRUCK, "bus": BUS}
VEHICLES: Final = frozenset(BODIES)

PAINTS: Final[tuple[Color, ...]] = (
    (188, 44, 40),
    (36, 84, 142),
    (232, 232, 228),
    (44, 48, 56),
    (142, 150, 158),
    (226, 170, 52),
    (52, 112, 92),
    (120, 62, 96),
    (94, 130, 168),
)
CLOTHES: Final[tuple[Color, ...]] = (
    (202, 72, 58),
    (54, 92, 138),
    (232, 186, 76),
    (82, 126, 104),
    (116, 90, 140),
    (222, 214, 202),
    (66, 66, 76),
)


@dataclass(frozen=True, slots=True)
class Thing:
    """One labelled object, at `z` when the time is 0; `speed` is along the road in m/s.

    `facing` is 1 where its front looks along the road, -1 where it looks back.
    """

    track: int
    kind: str
    x: float
    z: float
    facing: int = 1
    speed: float = 0.0
    paint: Color = (200, 200, 200)
    second: Color = (60, 60, 70)
    size: float = 1.0

    def z_at(self, time_s: float) -> float:
        """Return where along the road it is at a time."""
        return self.z + self.speed * time_s


@dataclass(frozen=True, slots=True)
class Building:
    """A house: `side` is 1 on the right; it reaches from `z0` to `z1` along the road."""

    side: int
    z0: float
    z1: float
    height: float
    floors: int
    bays: int
    wall: int
    shop: bool
    lit: tuple[bool, ...]


@dataclass(frozen=True, slots=True)
class Tree:
    """A tree on the pavement; `blobs` are x, y, radius of its leaves and their shade."""

    x: float
    z: float
    blobs: tuple[tuple[float, float, float, int], ...]


@dataclass(slots=True)
class Street:
    """Everything that can be seen."""

    buildings: list[Building] = field(default_factory=list)
    trees: list[Tree] = field(default_factory=list)
    lamps: list[tuple[float, float]] = field(default_factory=list)
    crossings: list[float] = field(default_factory=list)
    things: list[Thing] = field(default_factory=list)


def build_street(
    seed: int, *, ego_speed: float, lit_share: float, start: float, end: float
) -> Street:
    """Return the street from `start` to `end` metres, with traffic for a drive at `ego_speed`."""
    chance = random.Random(seed)  # noqa: S311  a drawing, not a secret
    street = Street()
    for side in (-1, 1):
        _add_buildings(street, chance, side, start, end, lit_share)
    street.crossings = [
        z for z in (i * CROSSING_EVERY_M + 62 for i in range(-3, 8)) if start < z < end
    ]
    for side in (-1, 1):
        z = start
        while z < end:
            near_crossing = any(abs(z - crossing) < 7 for crossing in street.crossings)
            if not near_crossing:
                x = side * (ROAD_EDGE_M + 1.0)
                if chance.random() < 0.66:
                    street.trees.append(_tree(chance, x, z))
                else:
                    street.lamps.append((x - side * 0.5, z))
            z += chance.uniform(7, 11)
    _add_things(street, chance, ego_speed, start, end)
    return street


def _add_buildings(
    street: Street, chance: random.Random, side: int, start: float, end: float, lit_share: float
) -> None:
    z = start
    wall = chance.randrange(7)
    while z < end:
        length = chance.uniform(9, 17)
        floors = chance.choice((2, 3, 3, 4, 4, 5, 6))
        bays = max(2, round(length / 2.9))
        wall = (wall + chance.randrange(1, 6)) % 7
        street.buildings.append(
            Building(
                side=side,
                z0=z,
                z1=z + length,
                height=3.2 * floors + chance.uniform(0.8, 1.6),
                floors=floors,
                bays=bays,
                wall=wall,
                shop=chance.random() < 0.55,
                lit=tuple(chance.random() < lit_share for _ in range(floors * bays)),
            )
        )
        z += length
        if chance.random() < 0.12:
            z += chance.uniform(3, 6)


def _tree(chance: random.Random, x: float, z: float) -> Tree:
    height = chance.uniform(4.2, 6.2)
    blobs = [(0.0, height, chance.uniform(1.3, 1.7), chance.randrange(4))]
    blobs += [
        (
            chance.uniform(-1.1, 1.1),
            height + chance.uniform(-1.0, 0.9),
            chance.uniform(0.7, 1.2),
            chance.randrange(4),
        )
        for _ in range(5)
    ]
    return Tree(x, z, tuple(blobs))


def _add_things(
    street: Street, chance: random.Random, ego_speed: float, start: float, end: float
) -> None:
    def add(kind: str, x: float, z: float, **moving: float) -> None:
        facing = int(moving.pop("facing", 1))
        street.things.append(
            Thing(
                track=len(street.things) + 1,
                kind=kind,
                x=x,
                z=z,
                facing=facing,
                paint=chance.choice(CLOTHES if kind in ("pedestrian", "bicyclist") else PAINTS),
                second=chance.choice(((52, 58, 78), (74, 66, 60), (40, 44, 52), (96, 88, 80))),
                size=chance.uniform(0.94, 1.05) if kind == "pedestrian" else 1.0,
                **moving,
            )
        )

    own, other = LANE_M / 2, -LANE_M / 2
    add("car", own, 17, speed=ego_speed * 0.97)
    add("truck", own, 48, speed=ego_speed * 0.86)
    add("car", own, -13, speed=ego_speed * 1.04)
    add("van", own, -34, speed=ego_speed * 1.0)
    z = 40.0
    while z < end + 60:
        kind = chance.choices(("car", "van", "truck", "bus"), (6, 2, 1, 1))[0]
        add(kind, other, z, facing=-1, speed=-ego_speed * chance.uniform(0.85, 1.05))
        z += chance.uniform(24, 46)
    add("bicyclist", LANE_M - 0.35, 30, speed=ego_speed * 0.42)
    add("bicyclist", -LANE_M + 0.4, 52, facing=-1, speed=-ego_speed * 0.4)
    add("bicyclist", LANE_M - 0.3, 78, speed=ego_speed * 0.38)
    for side in (-1, 1):
        z = start + chance.uniform(0, 10)
        while z < end:
            near_crossing = any(abs(z - crossing) < 9 for crossing in street.crossings)
            if not near_crossing and chance.random() < 0.62:
                kind = "van" if chance.random() < 0.14 else "car"
                add(kind, side * (LANE_M + PARKING_M / 2 + 0.1), z, facing=side)
            z += chance.uniform(6.0, 8.5)
        z = start + chance.uniform(2, 9)
        while z < end:
            walking = chance.choice((-1, 1)) * chance.uniform(1.0, 1.6)
            x = side * chance.uniform(ROAD_EDGE_M + 1.5, FRONT_M - 0.5)
            add("pedestrian", x, z, facing=1 if walking > 0 else -1, speed=walking)
            z += chance.uniform(6, 16)
    for crossing in street.crossings:
        for side in (-1, 1):
            add("traffic light", side * (ROAD_EDGE_M + 0.4), crossing - side * 2.6, facing=-side)
            add("traffic sign", side * (ROAD_EDGE_M + 0.5), crossing + side * 14, facing=-side)
            for _ in range(chance.randrange(3)):
                add("pedestrian", side * (ROAD_EDGE_M + 0.6), crossing + chance.uniform(-1.4, 1.4))
