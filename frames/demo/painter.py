"""Draws the demo's street as a camera sees it, with the class of every pixel and exact labels.

Pictures are drawn twice as large and scaled down, which smooths their edges; classes are drawn
as large as they are, because a class has no shades.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from frames.demo import geometry
from frames.demo.geometry import NEAR_M, Camera, Point, Ring
from frames.demo.street import (
    BODIES,
    FRONT_M,
    LANE_M,
    ROAD_EDGE_M,
    Body,
    Building,
    Street,
    Thing,
    Tree,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from frames.demo.moods import Color, Mood

# Index in a class picture, and the colour of the index in a mask: one that comes out of a
# video as it went in, which five in six colours do not (they are stored as 8-bit YUV).
CLASSES: Final[dict[str, tuple[int, Color]]] = {
    "unlabelled": (0, (0, 0, 0)),
    "sky": (1, (96, 161, 224)),
    "building": (2, (127, 64, 63)),
    "road": (3, (128, 64, 161)),
    "lane marking": (4, (255, 255, 255)),
    "pavement": (5, (224, 160, 191)),
    "tree": (6, (64, 160, 32)),
    "pole": (7, (192, 191, 127)),
    "car": (8, (0, 64, 226)),
    "van": (9, (0, 159, 160)),
    "truck": (10, (224, 96, 0)),
    "bus": (11, (160, 0, 95)),
    "pedestrian": (12, (224, 32, 63)),
    "bicyclist": (13, (254, 192, 0)),
    "traffic light": (14, (255, 128, 32)),
    "traffic sign": (15, (222, 224, 0)),
    "ego vehicle": (16, (64, 64, 64)),
}
_FIRST_THING: Final = 32
MAX_THINGS: Final = 255 - _FIRST_THING
Corner = tuple[float, float, float]
MIN_VISIBLE_PX: Final = 60
MAX_SEEN_M: Final = 110.0
# Nearer than this there is no haze.
CLEAR_M: Final = 12.0
# Wheels and lamps of vehicles farther away are a pixel or two.
MAX_DETAIL_M: Final = 45.0
_SCALE: Final = 2
_SKIN: Final[tuple[Color, ...]] = ((236, 196, 164), (206, 156, 120), (150, 104, 76), (104, 70, 52))


@dataclass(slots=True)
class Label:
    """One thing that can be seen: its outline, and what else is known of it exactly.

    `ellipses` are wheels as cx, cy, rx, ry, angle; `points` are joints. Everything is in pixels
    of the whole picture; `visible` is the share of the outline that nothing hides.
    """

    thing: Thing
    outline: Ring
    distance_m: float
    ellipses: list[tuple[float, float, float, float, float]] = field(default_factory=list)
    points: Ring = field(default_factory=list)
    visible: float = 1.0
    visible_px: int = 0


@dataclass(slots=True)
class View:
    """What a camera sees: an RGB picture, the class of each pixel, and the things in it.

    `surfaces` are the classes of the pixels that belong to no thing.
    """

    picture: Image.Image
    classes: Image.Image
    surfaces: frozenset[int]
    labels: list[Label]


def mix(a: Color, b: Color, share: float) -> Color:
    """Return a colour between two: `share` 0 is the first, 1 the second."""
    return (
        int(a[0] + (b[0] - a[0]) * share),
        int(a[1] + (b[1] - a[1]) * share),
        int(a[2] + (b[2] - a[2]) * share),
    )


def shade(color: Color, factor: float) -> Color:
    """Return a colour made brighter or darker."""
    return (
        min(255, int(color[0] * factor)),
        min(255, int(color[1] * factor)),
        min(255, int(color[2] * factor)),
    )


@lru_cache(maxsize=12)
def _sky(mood: Mood, width: int, height: int, horizon_px: int) -> Image.Image:
    """Return the sky down to the horizon, with its glow and clouds, and haze below it."""
    # All of it is soft, so it is made small; only the sun is drawn sharp.
    small = Image.new("RGB", (1, height // 4), mood.horizon)
    for row in range(min(horizon_px, height) // 4):
        small.putpixel((0, row), mix(mood.sky, mood.horizon, (row * 4 / horizon_px) ** 1.3))
    small = small.resize((width // 4, height // 4))
    if mood.sun:
        y, x = np.mgrid[0 : small.height, 0 : small.width]
        sun_x, sun_y = mood.sun[0] * width, mood.sun[1] * height
        far = np.hypot(x * 4 - sun_x, (y * 4 - sun_y) * 1.2) / height
        glow = Image.fromarray((np.exp(-((far / 0.28) ** 1.2)) * 190).astype(np.uint8))
        small.paste(mood.glow, (0, 0), glow)
    if mood.clouds:
        small.paste(mood.clouds, (0, 0), _clouds(mood.name, *small.size, horizon_px / 4))
    sky = small.resize((width, height), Image.Resampling.BILINEAR)
    if mood.sun:
        radius = 0.026 * height
        box = (sun_x - radius, sun_y - radius, sun_x + radius, sun_y + radius)
        ImageDraw.Draw(sky).ellipse(box, fill=mood.glow)
    return sky


def _clouds(name: str, width: int, height: int, horizon_px: float) -> Image.Image:
    chance = random.Random(f"clouds {name}")  # noqa: S311  a drawing, not a secret
    clouds = Image.new("L", (width, height))
    draw = ImageDraw.Draw(clouds)
    thick = name == "rain"
    for _ in range(26 if thick else 9):
        x, y = chance.uniform(0, width), chance.uniform(0.06, 0.8) * horizon_px
        for _ in range(9):
            dx, dy = chance.gauss(0, width / 10), chance.gauss(0, height / 60)
            rx = chance.uniform(0.02, 0.06) * width
            draw.ellipse(
                (x + dx - rx, y + dy - rx * 0.28, x + dx + rx, y + dy + rx * 0.24),
                fill=chance.randrange(70, 130 if thick else 190),
            )
    return clouds.filter(ImageFilter.GaussianBlur(height / 32))


@lru_cache(maxsize=100)
def _halo(size: int) -> Image.Image:
    """Return a soft round spot, brightest in the middle."""
    spot = ImageChops.invert(Image.radial_gradient("L").resize((size, size)))
    return spot.point([int((value / 255) ** 2.4 * 150) for value in range(256)])


class Painter:
    """One picture in the making."""

    def __init__(self, camera: Camera, mood: Mood, time_s: float) -> None:
        self.camera = camera
        self.mood = mood
        self.time_s = time_s
        width, height = camera.width, camera.height
        size = (width * _SCALE, height * _SCALE)
        self.image = _sky(mood, *size, round(camera.horizon_px * _SCALE)).copy()
        self.draw = ImageDraw.Draw(self.image)
        # Classes, and above them the number of each thing, until all are counted.
        self.ids = Image.new("L", (width, height), CLASSES["sky"][0])
        self.ids_draw = ImageDraw.Draw(self.ids)
        self.labels: list[Label] = []
        self._lights: list[tuple[float, float, float, Color, int]] = []

    # --- colour ---------------------------------------------------------------------------

    def lit(self, color: Color, depth_m: float, factor: float = 1.0) -> Color:
        """Return a colour as it looks in this light from this far."""
        mood = self.mood
        bright = factor * mood.light
        seen = (
            min(255, int(color[0] * bright * mood.tint[0] / 255)),
            min(255, int(color[1] * bright * mood.tint[1] / 255)),
            min(255, int(color[2] * bright * mood.tint[2] / 255)),
        )
        return mix(seen, mood.horizon, 1 - math.exp(-max(0.0, depth_m - CLEAR_M) / mood.fog_m))

    # --- primitives -------------------------------------------------------------------------

    def fill(self, ring: Ring, color: Color, class_id: int | None = None) -> None:
        """Fill a polygon of the picture and, with a class, of the class picture too."""
        if len(ring) < 3:
            return
        self.draw.polygon([(x * _SCALE, y * _SCALE) for x, y in ring], fill=color)
        if class_id is not None:
            self.ids_draw.polygon(ring, fill=class_id)

    def disc(self, x: float, y: float, radius: float, color: Color) -> None:
        """Fill a circle of the picture."""
        x, y, radius = x * _SCALE, y * _SCALE, radius * _SCALE
        self.draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=color)

    def light(self, x: float, y: float, radius: float, color: Color, class_id: int) -> None:
        """Remember a lamp; its halo is laid over the picture if nothing has come before it."""
        self._lights.append((x, y, radius, color, class_id))

    def quad(
        self, corners: Sequence[Sequence[float]], color: Color, class_id: int | None = None
    ) -> None:
        """Fill a flat polygon of the world."""
        self.fill(self.camera.ring(corners), color, class_id)

    # --- the ground -------------------------------------------------------------------------

    def ground(self, street: Street) -> None:
        """Draw road, pavements, markings and crossings."""
        camera, mood = self.camera, self.mood
        sign = -1 if camera.backward else 1
        road, marking = CLASSES["road"][0], CLASSES["lane marking"][0]
        pavement = CLASSES["pavement"][0]

        def strip(x0: float, x1: float, z0: float, z1: float, color: Color, class_id: int) -> None:
            self.quad([(x0, 0, z0), (x1, 0, z0), (x1, 0, z1), (x0, 0, z1)], color, class_id)

        kerb = ROAD_EDGE_M + 0.16
        across = (
            (-80.0, -kerb, mood.pavement, 0.98, pavement),
            (-kerb, -ROAD_EDGE_M, (206, 204, 200), 1.0, pavement),
            (-ROAD_EDGE_M, -LANE_M, mood.road, 0.93, road),
            (-LANE_M, LANE_M, mood.road, 1.0, road),
            (LANE_M, ROAD_EDGE_M, mood.road, 0.93, road),
            (ROAD_EDGE_M, kerb, (206, 204, 200), 1.0, pavement),
            (kerb, 80.0, mood.pavement, 0.98, pavement),
        )
        # In pieces, so that the far ones sink into the haze.
        along = (NEAR_M, CLEAR_M, 17, 23, 30, 38, 48, 60, 75, 95, 120, 160, 220, 340, 1500)
        for a, b in pairwise(along):
            z0, z1, depth = camera.z + sign * a, camera.z + sign * b, (a + b) / 2
            for x0, x1, color, factor, class_id in across:
                strip(x0, x1, z0, z1, self.lit(color, depth, factor), class_id)
        white = (236, 236, 230)
        first = math.floor(camera.z / 9) * 9
        for index in range(-16, 17):
            z = first + index * 9
            depth = camera.depth(z + 1.5)
            if -4 < depth < 120 and not any(abs(z + 1.5 - c) < 6 for c in street.crossings):
                strip(-0.08, 0.08, z, z + 3.6, self.lit(white, depth), marking)
        for side in (-1, 1):
            for index in range(-20, 21):
                z = math.floor(camera.z / 6) * 6 + index * 6
                depth = camera.depth(z)
                if -3 < depth < 110:
                    x = side * LANE_M
                    strip(x - 0.05, x + 0.05, z, z + 4.6, self.lit(white, depth, 0.9), marking)
        for crossing in street.crossings:
            depth = camera.depth(crossing)
            if not -3 < depth < 130:
                continue
            strip(
                -ROAD_EDGE_M,
                ROAD_EDGE_M,
                crossing - 2,
                crossing + 2,
                self.lit(mood.road, depth),
                road,
            )
            x = -ROAD_EDGE_M + 0.4
            while x < ROAD_EDGE_M - 0.3:
                strip(x, x + 0.5, crossing - 1.7, crossing + 1.7, self.lit(white, depth), marking)
                x += 1.0
            stop = crossing - 3.2
            strip(0.1, LANE_M - 0.1, stop, stop + 0.35, self.lit(white, depth), marking)
            strip(
                -LANE_M + 0.1, -0.1, crossing + 2.9, crossing + 3.2, self.lit(white, depth), marking
            )

    # --- what stands ------------------------------------------------------------------------

    def building(self, building: Building) -> None:
        """Draw a house: the front to the street, and the wall that looks at the camera."""
        camera, mood = self.camera, self.mood
        side = building.side
        x = side * FRONT_M
        z0, z1 = building.z0, building.z1
        near_z, far_z = (z1, z0) if camera.backward else (z0, z1)
        depth = max(1.0, camera.depth(near_z))
        middle = max(1.0, (camera.depth(near_z) + camera.depth(far_z)) / 2)
        if camera.depth(far_z) < 0.8 or depth > 240:
            return
        wall = mood.walls[building.wall]
        height, class_id = building.height, CLASSES["building"][0]
        sunny = 1.06 if (side > 0) != camera.backward else 0.86
        gable = [(x, 0.0, near_z), (x + side * 14, 0, near_z)]
        gable += [(x + side * 14, height, near_z), (x, height, near_z)]
        self.quad(gable, self.lit(wall, depth, 0.74), class_id)
        # Far houses are seen edge on; in pieces, so that a long front sinks into the haze.
        pieces = 1 if depth > 60 else 3
        for piece in range(pieces):
            a = z0 + (z1 - z0) * piece / pieces
            b = z0 + (z1 - z0) * (piece + 1) / pieces
            piece_depth = max(1.0, camera.depth((a + b) / 2))
            corners = [(x, 0, a), (x, 0, b), (x, height, b), (x, height, a)]
            self.quad(corners, self.lit(wall, piece_depth, sunny), class_id)
        top = [(x - side * 0.25, height - 0.5, z0), (x - side * 0.25, height - 0.5, z1)]
        top += [(x - side * 0.25, height, z1), (x - side * 0.25, height, z0)]
        self.quad(top, self.lit(shade(wall, 1.12), middle, sunny), class_id)
        foot = [(x, 0, z0), (x, 0, z1), (x, 0.6, z1), (x, 0.6, z0)]
        self.quad(foot, self.lit(shade(wall, 0.66), middle, sunny))
        if middle < 65:
            self._windows(building, x, middle, sunny)

    def _windows(self, building: Building, x: float, depth_m: float, sunny: float) -> None:
        """Draw the windows of a front, all projected at once."""
        camera, mood = self.camera, self.mood
        floor_m = (building.height - 0.9) / building.floors
        bay_m = (building.z1 - building.z0) / building.bays
        first = 1 if building.shop else 0
        quads = []
        for floor in range(first, building.floors):
            y0 = floor * floor_m + floor_m * 0.32
            y1 = y0 + floor_m * 0.52
            for bay in range(building.bays):
                z0 = building.z0 + bay * bay_m + bay_m * 0.26
                z1 = z0 + bay_m * 0.48
                quads.append(((x, y0, z0), (x, y0, z1), (x, y1, z1), (x, y1, z0)))
        if quads:
            seen = camera.seen(np.array(quads, float).reshape(-1, 3)).reshape(-1, 4, 3)
            ahead = seen[:, :, 2].min(axis=1) > NEAR_M
            places = camera.project(np.where(seen[:, :, 2:] > 0.1, seen, 1.0).reshape(-1, 3))
            rings = (places * _SCALE).reshape(-1, 8).tolist()
            frame = self.lit(shade(mood.walls[building.wall], 1.22), depth_m, sunny)
            glass = self.lit(mood.window, depth_m)
            upper = self.lit(mix(mood.window, mood.horizon, 0.45), depth_m)
            warm = mix((255, 214, 140), mood.horizon, 1 - math.exp(-depth_m / mood.fog_m / 1.8))
            detailed = depth_m < 42
            width = camera.width * _SCALE
            for index, ring in enumerate(rings):
                if not ahead[index] or max(ring[0::2]) < 0 or min(ring[0::2]) > width:
                    continue
                if max(ring[1::2]) < 0:
                    continue
                lit = building.lit[index + first * building.bays]
                self.draw.polygon(
                    ring, fill=warm if lit else glass, outline=frame if detailed else None
                )
                if detailed and not lit:
                    # The sky in the upper half of the glass.
                    ax, ay, bx, by, cx, cy, dx, dy = ring
                    low = (dx * 0.5 + ax * 0.5, dy * 0.5 + ay * 0.5)
                    high = (cx * 0.5 + bx * 0.5, cy * 0.5 + by * 0.5)
                    self.draw.polygon([(dx, dy), (cx, cy), high, low], fill=upper)
        if building.shop:
            self._shop(building, x, depth_m)

    def _shop(self, building: Building, x: float, depth_m: float) -> None:
        mood = self.mood
        z0, z1 = building.z0 + 0.8, building.z1 - 0.8
        warm = mood.lamps_on or mood.light < 0.95
        glass = (250, 222, 168) if warm else (120, 142, 158)
        color = self.lit(glass, depth_m, 1 / mood.light if warm else 1.0)
        self.quad([(x, 0.6, z0), (x, 0.6, z1), (x, 2.5, z1), (x, 2.5, z0)], color)
        stripes = ((178, 62, 54), (60, 104, 92), (64, 88, 132), (196, 150, 70))
        awning = self.lit(stripes[building.wall % 4], depth_m, 1.05)
        out = x - building.side * 1.1
        self.quad([(x, 3.0, z0), (x, 3.0, z1), (out, 2.5, z1), (out, 2.5, z0)], awning)
        self.quad(
            [(out, 2.5, z0), (out, 2.5, z1), (out, 2.25, z1), (out, 2.25, z0)], shade(awning, 0.82)
        )

    def tree(self, tree: Tree) -> None:
        """Draw a tree: a trunk and round leaves that face the camera."""
        depth = self.camera.depth(tree.z)
        if not 1.5 < depth < 130:
            return
        seen = self.camera.seen(np.array([(tree.x, 0.0, tree.z)]))
        ((foot_x, foot_y),) = self.camera.project(seen).tolist()
        scale = self.camera.focal_px / depth
        half = 0.11 * scale
        top = foot_y - 3.6 * scale
        trunk = [(foot_x - half, foot_y), (foot_x + half, foot_y)]
        trunk += [(foot_x + half * 0.7, top), (foot_x - half * 0.7, top)]
        class_id = CLASSES["tree"][0]
        self.fill(trunk, self.lit((98, 76, 60), depth), class_id)
        shades = ((0.16, 0.72, 1.0), (-0.04, 1.0, 0.9), (-0.26, 1.2, 0.5))
        for shift, factor, grow in shades if depth < MAX_DETAIL_M else shades[1:2]:
            for x, y, radius, leaf in tree.blobs:
                color = self.lit(self.mood.leaves[leaf], depth, factor)
                cx = foot_x + (x + shift * 0.6) * scale
                cy = foot_y - (y - shift) * scale
                size = radius * grow * scale
                self.disc(cx, cy, size, color)
                if factor == 1.0:
                    self.ids_draw.ellipse(
                        (cx - size, cy - size, cx + size, cy + size), fill=class_id
                    )

    def lamp(self, x: float, z: float) -> None:
        """Draw a street lamp, lit after dusk."""
        depth = self.camera.depth(z)
        if not 1.5 < depth < 110:
            return
        seen = self.camera.seen(np.array([(x, 0.0, z)]))
        ((foot_x, foot_y),) = self.camera.project(seen).tolist()
        scale = self.camera.focal_px / depth
        half, top = 0.06 * scale, foot_y - 5.4 * scale
        color = self.lit((78, 84, 92), depth)
        pole = CLASSES["pole"][0]
        arm = (-1 if x > 0 else 1) * (-1 if self.camera.backward else 1) * 1.3 * scale
        self.fill(
            [
                (foot_x - half, foot_y),
                (foot_x + half, foot_y),
                (foot_x + half, top),
                (foot_x - half, top),
            ],
            color,
            pole,
        )
        self.fill(
            [
                (foot_x, top),
                (foot_x + arm, top - 0.2 * scale),
                (foot_x + arm, top),
                (foot_x, top + 2 * half),
            ],
            color,
            pole,
        )
        if self.mood.lamps_on:
            self.disc(foot_x + arm, top, max(1.0, 0.14 * scale), (255, 236, 190))
            self.light(foot_x + arm * 0.9, top - 0.1 * scale, 1.5 * scale, (255, 214, 150), pole)

    # --- what is labelled -------------------------------------------------------------------

    def is_ahead(self, thing: Thing) -> bool:
        """Whether all of a thing is before the camera and not too far away."""
        depth = self.camera.depth(thing.z_at(self.time_s))
        length = BODIES[thing.kind].length / 2 if thing.kind in BODIES else 0.3
        return depth - length > 1.2 and depth < MAX_SEEN_M

    def shadow(self, thing: Thing) -> None:
        """Darken the ground under a vehicle."""
        if thing.kind not in BODIES or not self.is_ahead(thing):
            return
        body, z = BODIES[thing.kind], thing.z_at(self.time_s)
        half, length = body.width / 2 + 0.22, body.length / 2 + 0.3
        corners = [(thing.x - half, 0, z - length), (thing.x + half, 0, z - length)]
        corners += [(thing.x + half, 0, z + length), (thing.x - half, 0, z + length)]
        self.quad(corners, self.lit(self.mood.road, self.camera.depth(z), 0.6))

    def thing(self, thing: Thing) -> None:
        """Draw a labelled object and keep its label."""
        if not self.is_ahead(thing) or len(self.labels) >= MAX_THINGS:
            return
        z = thing.z_at(self.time_s)
        depth = self.camera.depth(z)
        class_id = _FIRST_THING + len(self.labels)
        if thing.kind in BODIES:
            label = self._vehicle(thing, z, depth, class_id)
        else:
            label = self._figure(thing, z, depth, class_id)
        if label is not None:
            self.labels.append(label)

    def _vehicle(self, thing: Thing, z: float, depth: float, class_id: int) -> Label | None:
        camera = self.camera
        body = BODIES[thing.kind]
        solid = _solid(body)
        corners = [(thing.x + x, y, z + thing.facing * along) for x, y, along in solid.corners]
        outline = camera.hull(corners)
        if not outline:
            return None
        dark = self.lit((26, 27, 31), depth)
        self.fill(outline, dark, class_id)
        label = Label(thing, outline, round(depth, 1))
        to_camera = (camera.x, camera.y, camera.z)
        for name, indices in solid.faces:
            quad = [corners[index] for index in indices]
            if _faces(quad, to_camera) * thing.facing > 0:
                self._face(thing, name, quad, depth, class_id)
        for side in (-1, 1):
            if side * (camera.x - thing.x) <= body.width / 2 or depth > MAX_DETAIL_M:
                continue
            x = thing.x + side * body.width / 2
            for axle in body.axles:
                centre = (x, body.wheel, z + thing.facing * (0.5 - axle) * body.length)
                ellipse = geometry.projected_circle(
                    camera, centre, (0, 0, body.wheel), (0, body.wheel, 0)
                )
                if ellipse is None:
                    continue
                for size, tone in (
                    (1.0, (20, 20, 23)),
                    (0.62, (150, 154, 160)),
                    (0.2, (70, 72, 78)),
                ):
                    ring = ellipse_ring(ellipse, size)
                    self.fill(ring, self.lit(tone, depth))
                label.ellipses.append(ellipse)
        return label

    def _face(
        self, thing: Thing, name: str, quad: list[Corner], depth: float, class_id: int
    ) -> None:
        """Paint one face of a vehicle that looks at the camera."""
        light = {"roof": 1.18, "left": 0.94, "right": 0.84, "front": 1.0, "back": 0.98}
        where, _, level = name.partition(" ")
        factor = light[where]
        paint = thing.paint
        boxy = thing.kind == "truck"
        if boxy and where == "back":
            paint = (222, 222, 218)
        self.quad(quad, self.lit(paint, depth, factor * (0.86 if level == "low" else 1.0)))
        glass = self.lit(mix((38, 48, 60), self.mood.horizon, 0.22), depth, 1.0)

        def patch(u0: float, u1: float, v0: float, v1: float, color: Color) -> Ring:
            ring = self.camera.ring(_patch(quad, u0, u1, v0, v1))
            self.fill(ring, color)
            return ring

        if depth > MAX_DETAIL_M:
            if level == "high":
                patch(0.1, 0.9, 0.15, 0.85, glass)
            elif where in ("front", "back") and self.mood.lamps_on:
                self._lights_of(thing, where, depth, class_id, patch)
            return
        if boxy and where in ("left", "right"):
            cargo = self.lit((226, 226, 222), depth, factor)
            # The cab is at the front: quads run from the front of a side to its back or reverse.
            front_first = where == "left"
            span = (0.26, 1.0) if front_first else (0.0, 0.74)
            patch(*span, 0.0 if level != "low" else 0.35, 1.0, cargo)
            if level != "low":
                patch(*((0.05, 0.2) if front_first else (0.8, 0.95)), 0.08, 0.55, glass)
            return
        if level == "high":
            if where in ("left", "right"):
                if thing.kind == "bus":
                    for index in range(6):
                        patch(0.03 + index * 0.16, 0.17 + index * 0.16, 0.06, 0.6, glass)
                elif thing.kind == "van":
                    front_first = where == "left"
                    patch(*((0.06, 0.32) if front_first else (0.68, 0.94)), 0.1, 0.72, glass)
                else:
                    patch(0.1, 0.5, 0.12, 0.88, glass)
                    patch(0.54, 0.92, 0.12, 0.88, glass)
            elif where == "front":
                low = 0.42 if thing.kind == "car" else 0.08
                patch(0.07, 0.93, low, 0.94 if thing.kind == "car" else 0.62, glass)
            elif not boxy:
                patch(0.1, 0.9, 0.16, 0.86 if thing.kind == "car" else 0.6, glass)
        elif level == "low" and where in ("front", "back"):
            self._lights_of(thing, where, depth, class_id, patch)

    def _lights_of(
        self,
        thing: Thing,
        where: str,
        depth: float,
        class_id: int,
        patch: Callable[[float, float, float, float, Color], Ring],
    ) -> None:
        front = where == "front"
        on = self.mood.lamps_on and bool(thing.speed)
        color: Color = (255, 246, 220) if front else (228, 40, 34)
        dim: Color = (214, 218, 220) if front else (158, 30, 30)
        patch(
            0.3,
            0.7,
            0.12,
            0.34,
            self.lit((232, 232, 226) if thing.kind != "bus" else (60, 60, 66), depth),
        )
        for u0, u1 in ((0.05, 0.22), (0.78, 0.95)):
            shown = color if on else self.lit(dim, depth)
            ring = patch(u0, u1, 0.56, 0.84, shown)
            if on and ring:
                left, top, right, bottom = geometry.bounds(ring)
                size = (1.5 if front else 0.8) * self.camera.focal_px / depth
                self.light((left + right) / 2, (top + bottom) / 2, size, color, class_id)

    def _figure(self, thing: Thing, z: float, depth: float, class_id: int) -> Label | None:
        """Draw what always faces the camera: people, lights and signs on their poles."""
        seen = self.camera.seen(np.array([(thing.x, 0.0, z)]))
        ((foot_x, foot_y),) = self.camera.project(seen).tolist()
        scale = self.camera.focal_px / depth * thing.size

        def ring(points: Iterable[tuple[float, float]]) -> Ring:
            return [(foot_x + x * scale, foot_y - y * scale) for x, y in points]

        towards = (thing.facing > 0) == self.camera.backward
        if thing.kind == "pedestrian":
            stride = math.sin(self.time_s * 6.5 + thing.track) if thing.speed else 0.15
            outline = ring(_walker(stride))
            self.fill(outline, self.lit(thing.paint, depth, 1.02), class_id)
            self._dress_walker(thing, ring, stride, depth, towards=towards, scale=scale)
            label = Label(thing, outline, round(depth, 1))
            label.points = ring(_joints(stride))
            return label
        if thing.kind == "bicyclist":
            lean = math.sin(self.time_s * 7 + thing.track) if thing.speed else 0.0
            outline = ring(_rider(lean))
            self.fill(outline, self.lit(thing.paint, depth), class_id)
            self._dress_rider(thing, ring, lean, depth, towards=towards, scale=scale)
            return Label(thing, outline, round(depth, 1))
        if thing.kind == "traffic light":
            outline = ring(
                [
                    *((-0.06, 0), (0.06, 0), (0.06, 2.3), (0.2, 2.3), (0.2, 3.3)),
                    *((-0.2, 3.3), (-0.2, 2.3), (-0.06, 2.3)),
                ]
            )
            self.fill(outline, self.lit((48, 52, 58), depth), class_id)
            if towards:
                for height, color in (
                    (3.1, (226, 48, 40)),
                    (2.8, (238, 170, 40)),
                    (2.5, (66, 208, 116)),
                ):
                    ((x, y),) = ring([(0.0, height)])
                    lit = height == 2.5
                    self.disc(x, y, 0.1 * scale, color if lit else shade(color, 0.25))
                    if lit and (self.mood.lamps_on or depth < 60):
                        self.light(x, y, 0.5 * scale, color, class_id)
            return Label(thing, outline, round(depth, 1))
        circle = [
            (0.3 * math.cos(a), 2.5 + 0.3 * math.sin(a))
            for a in np.linspace(-1.4, math.pi + 1.4, 18)
        ]
        outline = ring([(-0.04, 0), (0.04, 0), *circle])
        self.fill(outline, self.lit((120, 124, 130), depth), class_id)
        ((x, y),) = ring([(0.0, 2.5)])
        if towards:
            self.disc(x, y, 0.285 * scale, self.lit((214, 44, 40), depth, 1.05))
            self.disc(x, y, 0.2 * scale, self.lit((250, 250, 246), depth, 1.05))
            bar = ring([(-0.1, 2.45), (0.1, 2.45), (0.1, 2.55), (-0.1, 2.55)])
            self.fill(bar, self.lit((40, 40, 44), depth))
        return Label(thing, outline, round(depth, 1))

    def _dress_walker(
        self,
        thing: Thing,
        ring: Callable[[Iterable[Point]], Ring],
        stride: float,
        depth: float,
        *,
        towards: bool,
        scale: float,
    ) -> None:
        s = stride * 0.16
        trousers = self.lit(thing.second, depth)
        self.fill(
            ring(
                [
                    (-0.15, 0.92),
                    (0.15, 0.92),
                    (0.14 + s, 0.07),
                    (0.02 + s, 0.07),
                    (0.0, 0.74),
                    (-0.02 - s, 0.07),
                    (-0.14 - s, 0.07),
                ]
            ),
            trousers,
        )
        shoes = self.lit((38, 36, 38), depth)
        for x in (0.02 + s, -0.15 - s):
            self.fill(ring([(x, 0.0), (x + 0.13, 0.0), (x + 0.13, 0.07), (x, 0.07)]), shoes)
        skin = self.lit(_SKIN[thing.track % 4], depth)
        ((x, y),) = ring([(0.0, 1.62)])
        hair = self.lit(
            ((52, 38, 30), (32, 28, 28), (150, 110, 64), (96, 62, 40))[thing.track % 3], depth
        )
        self.disc(x, y, 0.118 * scale, skin if towards else hair)
        if towards:
            self.fill(
                ring(
                    [
                        (0.118 * math.cos(a), 1.62 + 0.118 * math.sin(a))
                        for a in np.linspace(0.35, math.pi - 0.35, 9)
                    ]
                ),
                hair,
            )
        shaded = self.lit(thing.paint, depth, 0.82)
        self.fill(ring([(0.06, 1.42), (0.2, 1.4), (0.17, 0.95), (0.08, 0.92)]), shaded)

    def _dress_rider(
        self,
        thing: Thing,
        ring: Callable[[Iterable[Point]], Ring],
        lean: float,
        depth: float,
        *,
        towards: bool,
        scale: float,
    ) -> None:
        tyre = self.lit((30, 30, 34), depth)
        self.fill(ring([(-0.035, 0), (0.035, 0), (0.035, 0.66), (-0.035, 0.66)]), tyre)
        legs = self.lit(thing.second, depth)
        k = lean * 0.14
        self.fill(ring([(0.03, 0.95), (0.2, 0.95), (0.17, 0.36 + k), (0.06, 0.36 + k)]), legs)
        self.fill(ring([(-0.03, 0.95), (-0.2, 0.95), (-0.17, 0.36 - k), (-0.06, 0.36 - k)]), legs)
        ((x, y),) = ring([(0.0, 1.68)])
        self.disc(x, y, 0.125 * scale, self.lit((236, 232, 224), depth))
        if towards:
            face = ring([(-0.12, 1.66), (0.12, 1.66), (0.1, 1.58), (-0.1, 1.58)])
            self.fill(face, self.lit(_SKIN[thing.track % 4], depth))
        else:
            # The saddle and, below it, the rear light.
            saddle = ring([(-0.09, 0.98), (0.09, 0.98), (0.06, 0.9), (-0.06, 0.9)])
            self.fill(saddle, self.lit((34, 34, 38), depth))
            (light,) = ring([(0.0, 0.78)])
            self.disc(*light, 0.03 * scale, (232, 40, 34))
        self.fill(
            ring([(0.06, 1.45), (0.2, 1.42), (0.17, 1.0), (0.08, 0.97)]),
            self.lit(thing.paint, depth, 0.82),
        )

    # --- at the end -------------------------------------------------------------------------

    def bonnet(self) -> None:
        """Draw the edge of the car that carries the camera."""
        width, height = self.camera.width, self.camera.height
        # A shallow arc.
        arc = [
            (width * share, height * (0.955 + 0.1 * (share - 0.5) ** 2 * 2.2))
            for share in np.linspace(0.06, 0.94, 25).tolist()
        ]
        self.fill(
            [*arc, (width * 0.98, height), (width * 0.02, height)],
            self.lit((34, 40, 50), 2),
            CLASSES["ego vehicle"][0],
        )
        inner = [(x, y + height * 0.012) for x, y in arc]
        self.fill(
            [*inner, (width * 0.96, height), (width * 0.04, height)], self.lit((46, 56, 72), 2)
        )

    def finish(self) -> View:
        """Scale the picture down, lay rain and halos over it, and count what is visible."""
        picture = self.image.reduce(_SCALE)
        if self.mood.wet:
            self._reflect(picture)
        for light in self._lights:
            self._lay_halo(picture, *light)
        if self.mood.wet:
            picture.paste((206, 214, 228), (0, 0), _rain(*picture.size, int(self.time_s * 30) % 6))
        counts = self.ids.histogram()
        table = list(range(256))
        kept = []
        for number, label in enumerate(self.labels, _FIRST_THING):
            table[number] = CLASSES[label.thing.kind][0]
            label.visible_px = int(counts[number])
            clipped = geometry.clipped_to_picture(label.outline, *picture.size)
            if label.visible_px < MIN_VISIBLE_PX or len(clipped) < 3:
                continue
            label.visible = min(1.0, label.visible_px / max(1.0, geometry.area(clipped)))
            label.outline = clipped
            kept.append(label)
        surfaces = frozenset(index for index in range(_FIRST_THING) if counts[index])
        return View(picture, self.ids.point(table), surfaces, kept)

    def _reflect(self, picture: Image.Image) -> None:
        """Mirror the street in the wet road."""
        width, height = picture.size
        horizon = round(self.camera.horizon_px)
        below = height - horizon
        mirrored = picture.crop((0, max(0, horizon - below), width, horizon))
        mirrored = mirrored.transpose(Image.Transpose.FLIP_TOP_BOTTOM)
        # Small and large again: wet asphalt blurs, more along the view than across it.
        mirrored = mirrored.reduce((3, 9)).resize((width, below), Image.Resampling.BILINEAR)
        wet = [0] * 256
        wet[CLASSES["road"][0]] = wet[CLASSES["lane marking"][0]] = 96
        wet[CLASSES["pavement"][0]] = 48
        ground = self.ids.crop((0, horizon, width, height)).point(wet)
        picture.paste(mirrored, (0, horizon), ground)

    def _lay_halo(
        self, picture: Image.Image, x: float, y: float, radius: float, color: Color, class_id: int
    ) -> None:
        size = int(min(radius * 2, 320)) // 4 * 4
        if size < 4 or not (0 <= x < picture.width and 0 <= y < picture.height):
            return
        if self.ids.getpixel((int(x), int(y))) == class_id:
            picture.paste(color, (round(x - size / 2), round(y - size / 2)), _halo(size))


@lru_cache(maxsize=8)
def _rain(width: int, height: int, phase: int) -> Image.Image:
    """Return one of a few pictures of falling rain, as what to lay over."""
    chance = random.Random(f"rain {phase}")  # noqa: S311  a drawing, not a secret
    rain = Image.new("L", (width, height))
    draw = ImageDraw.Draw(rain)
    for _ in range(width * height // 3200):
        x, y = chance.uniform(0, width), chance.uniform(-40, height)
        length = chance.uniform(0.012, 0.035) * height
        draw.line((x, y, x - length * 0.16, y + length), fill=chance.randrange(28, 92))
    return rain


@dataclass(frozen=True, slots=True)
class _Solid:
    """A vehicle's corners around the origin, its front at +z, and its faces by their corners.

    Corners of a face run along its length, then up: u from 0 to 1 between the first two, v from
    the first to the last.
    """

    corners: tuple[Corner, ...]
    faces: tuple[tuple[str, tuple[int, int, int, int]], ...]


@lru_cache(maxsize=8)
def _solid(body: Body) -> _Solid:
    half, length = body.width / 2, body.length / 2
    low = body.wheel * 0.75

    def rectangle(y: float, width: float, front: float, back: float) -> list[Corner]:
        return [(-width, y, front), (width, y, front), (width, y, back), (-width, y, back)]

    roof = half * body.roof_width
    corners = [
        *rectangle(low, half * 0.98, length * 0.97, -length * 0.97),
        *rectangle(body.belt, half, length, -length),
        *rectangle(
            body.height,
            roof,
            length - body.roof_front * 2 * length * 0.62,
            -length + body.roof_back * 2 * length,
        ),
    ]
    # Where the tyres touch the road; they only widen the outline.
    corners += rectangle(
        0.0,
        half * 0.96,
        length - body.axles[0] * 2 * length + body.wheel * 0.5,
        length - body.axles[-1] * 2 * length - body.wheel * 0.5,
    )
    faces = []
    for level, start in (("low", 0), ("high", 4)):
        a, b, c, d = start, start + 1, start + 2, start + 3
        faces += [
            (f"front {level}", (b, a, a + 4, b + 4)),
            (f"back {level}", (d, c, c + 4, d + 4)),
            (f"right {level}", (c, b, b + 4, c + 4)),
            (f"left {level}", (a, d, d + 4, a + 4)),
        ]
    faces.append(("roof", (9, 8, 11, 10)))
    return _Solid(tuple(corners), tuple(faces))


def _faces(quad: list[Corner], eye: Corner) -> float:
    """Return a number above 0 if the corners of a face run clockwise as seen from `eye`."""
    (ax, ay, az), (bx, by, bz), _, (dx, dy, dz) = quad
    ux, uy, uz, vx, vy, vz = bx - ax, by - ay, bz - az, dx - ax, dy - ay, dz - az
    ex, ey, ez = ax - eye[0], ay - eye[1], az - eye[2]
    return (uy * vz - uz * vy) * ex + (uz * vx - ux * vz) * ey + (ux * vy - uy * vx) * ez


def _patch(quad: list[Corner], u0: float, u1: float, v0: float, v1: float) -> list[Corner]:
    """Return a part of a face by shares of its length and height."""
    a, b, c, d = quad

    def at(u: float, v: float) -> Corner:
        x, y, z = (
            (a[i] + (b[i] - a[i]) * u) * (1 - v) + (d[i] + (c[i] - d[i]) * u) * v for i in range(3)
        )
        return x, y, z

    return [at(u0, v0), at(u1, v0), at(u1, v1), at(u0, v1)]


def ellipse_ring(
    ellipse: tuple[float, float, float, float, float], size: float = 1.0, corners: int = 24
) -> Ring:
    """Return an ellipse cx, cy, rx, ry, angle as a polygon."""
    cx, cy, rx, ry, angle = ellipse
    cosine, sine = math.cos(angle), math.sin(angle)
    ring = []
    for index in range(corners):
        turn = 2 * math.pi * index / corners
        x, y = size * rx * math.cos(turn), size * ry * math.sin(turn)
        ring.append((cx + x * cosine - y * sine, cy + x * sine + y * cosine))
    return ring


def _head(radius: float, height: float) -> list[tuple[float, float]]:
    return [
        (radius * math.cos(turn), height + radius * math.sin(turn))
        for turn in np.linspace(-1.1, math.pi + 1.1, 12).tolist()
    ]


def _walker(stride: float) -> list[tuple[float, float]]:
    """Return the outline of a walking person, in metres around the feet, counter-clockwise."""
    s, a = stride * 0.16, stride * 0.07
    return [
        *((-0.15 - s, 0.0), (-0.02 - s, 0.0), (0.0, 0.74), (0.02 + s, 0.0), (0.15 + s, 0.0)),
        *((0.16, 0.9), (0.17, 1.05), (0.2 + a, 0.82), (0.28 + a, 0.84), (0.25, 1.3)),
        *((0.2, 1.43), (0.06, 1.48)),
        *_head(0.125, 1.62),
        *((-0.06, 1.48), (-0.2, 1.43), (-0.25, 1.3), (-0.28 + a, 0.84), (-0.2 + a, 0.82)),
        *((-0.17, 1.05), (-0.16, 0.9)),
    ]


def _joints(stride: float) -> list[tuple[float, float]]:
    """Return head, neck, shoulders, hands, hips and feet of `_walker`."""
    s, a = stride * 0.16, stride * 0.07
    return [
        *((0.0, 1.62), (0.0, 1.46), (-0.2, 1.4), (0.2, 1.4), (-0.24 + a, 0.86), (0.24 + a, 0.86)),
        *((-0.1, 0.92), (0.1, 0.92), (-0.09 - s, 0.04), (0.09 + s, 0.04)),
    ]


def _rider(lean: float) -> list[tuple[float, float]]:
    """Return the outline of a bicyclist seen from behind or before, counter-clockwise."""
    k = lean * 0.14
    return [
        *((-0.035, 0.0), (0.035, 0.0), (0.035, 0.42), (0.06, 0.34 + k), (0.18, 0.34 + k)),
        *(
            (0.22, 0.9),
            (0.2, 1.0),
            (0.32, 0.98),
            (0.34, 1.06),
            (0.27, 1.12),
            (0.24, 1.36),
            (0.17, 1.5),
        ),
        (0.05, 1.54),
        *_head(0.13, 1.68),
        (-0.05, 1.54),
        *((-0.17, 1.5), (-0.24, 1.36), (-0.27, 1.12), (-0.34, 1.06), (-0.32, 0.98), (-0.2, 1.0)),
        *((-0.22, 0.9), (-0.18, 0.34 - k), (-0.06, 0.34 - k), (-0.035, 0.42)),
    ]


def paint(
    street: Street, camera: Camera, mood: Mood, time_s: float, *, bonnet: bool = False
) -> View:
    """Draw what a camera sees of the street at a time."""
    painter = Painter(camera, mood, time_s)
    painter.ground(street)
    for building in sorted(street.buildings, key=lambda b: -camera.depth((b.z0 + b.z1) / 2)):
        painter.building(building)
    for thing in street.things:
        painter.shadow(thing)
    standing: list[tuple[float, Any, tuple[Any, ...]]] = []
    standing += [(camera.depth(tree.z), painter.tree, (tree,)) for tree in street.trees]
    standing += [(camera.depth(z), painter.lamp, (x, z)) for x, z in street.lamps]
    for thing in street.things:
        standing.append((camera.depth(thing.z_at(time_s)), painter.thing, (thing,)))
    for _, draw, arguments in sorted(standing, key=lambda item: -item[0]):
        draw(*arguments)
    if bonnet:
        painter.bonnet()
    return painter.finish()
