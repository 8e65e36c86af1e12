"""What of a target is no data of the model: hits twice, dead and noisy pixels, events of others, hits of noise."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from lartpc.data.hits import Hits
from lartpc.data.segments import Segments
from lartpc.goodness.items import SURE, Examined
from lartpc.losses.target import in_rows

OFF = 0.3  # share of an event's pixels and hits that are off, from which the whole event is
FEW = 5  # pixels or hits of an event from which that can be told
NOISY = 3  # hits without charge from which a pixel is noisy
# Shares above which nothing is left out: it is the model that is wrong.
MOST_EVENTS = 0.5
MOST_PIXELS = 0.2  # also of the pixels of the events that are kept

NO_IDS = np.zeros(0, dtype=np.int64)


@dataclasses.dataclass(frozen=True, eq=False)
class Cleaning:
    """What is left out of a fit; ids ascending."""

    bad: int = 0  # hits on pixels that no channel reads
    limited: int = 0  # pixels of events with as many hits as there may be, after which nothing is known
    twice: int = 0  # hits that equal another one
    noise: int = 0  # hits on pixels where the segments give no charge
    dead: np.ndarray = dataclasses.field(default_factory=lambda: NO_IDS)  # pixels that must have hits, and have none
    noisy: np.ndarray = dataclasses.field(default_factory=lambda: NO_IDS)  # pixels with hits without charge
    events: np.ndarray = dataclasses.field(default_factory=lambda: NO_IDS)
    spots: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros((0, 2), dtype=np.int64))  # event, pixel

    @property
    def pixels(self) -> np.ndarray:
        """Ids of the pixels that are left out of all events, ascending."""
        return np.union1d(self.dead, self.noisy)

    def wholly(self, event_id: np.ndarray, pixel_id: np.ndarray) -> np.ndarray:
        """Whether the events or the pixels (n,) are left out as a whole (n,)."""
        return np.isin(pixel_id, self.pixels) | np.isin(event_id, self.events)

    def kept(self, segments: Segments) -> Segments:
        """Those of the events that are not left out."""
        return segments.select(~np.isin(segments.event_id, self.events))

    @property
    def empty(self) -> bool:
        """Whether no pixel, event or spot is left out."""
        return self.same(Cleaning())

    def same(self, other: Cleaning) -> bool:
        """Whether both leave out the same pixels, events and spots."""
        return all(
            np.array_equal(getattr(self, name), getattr(other, name)) for name in ("dead", "noisy", "events", "spots")
        )

    def as_dict(self) -> dict[str, Any]:
        """Plain numbers, for JSON."""
        return {
            name: value.tolist() if isinstance(value, np.ndarray) else value
            for name, value in ((field.name, getattr(self, field.name)) for field in dataclasses.fields(self))
        }

    def __str__(self) -> str:
        kinds = {
            "hits on channels that are off": self.bad,
            "what follows the last of --max-hits on pixels": self.limited,
            "hits that occur twice": self.twice,
            "hits without charge": self.noise,
            "dead pixels": len(self.dead),
            "noisy pixels": len(self.noisy),
            "events": len(self.events),
            "pixels of single events": len(self.spots),
        }
        return ", ".join(f"{number} {kind}" for kind, number in kinds.items() if number)


def without_copies(hits: Hits) -> tuple[Hits, int]:
    """The hits without those that equal an earlier one in event, pixel, time and charge, and their number."""
    keys = np.stack((hits.event_id, hits.pixel_id, hits.t, hits.charge), axis=1).astype(np.float64)
    _, first = np.unique(keys, axis=0, return_index=True)
    if len(first) == len(hits):
        return hits, 0
    return hits.select(np.sort(first)), len(hits) - len(first)


def find_spoilt(examined: Examined, hits: Hits) -> Cleaning:
    """The pixels, events and spots of a target that the model cannot have made, whatever its parameters.

    An event is another's, or misses part of its hits, where `OFF` of what must be there is not, or of its hits lie far
    off. A pixel is dead that has no hit in the other events, though the probability of that is below `SURE`.
    """
    spots, target = examined.spots, examined.target
    n = len(spots.event_id)
    is_far = np.bincount(target.spot, target.far, n) > 0
    sure, silent = spots.log_silence < SURE, target.hits == 0
    lost = silent & sure
    event_id, event = np.unique(spots.event_id, return_inverse=True)

    def count(chosen: np.ndarray) -> np.ndarray:
        return np.bincount(event, chosen, len(event_id))

    asked, fired = count(sure), count(target.hits > 0)
    off = ((count(lost) > OFF * asked) & (asked >= FEW)) | ((count(is_far) > OFF * fired) & (fired >= FEW))
    events = event_id[off]
    kept = ~off[event]

    pixel_id, pixel = np.unique(spots.pixel_id, return_inverse=True)
    silence = np.bincount(pixel, spots.log_silence * kept, len(pixel_id))
    any_hit = np.bincount(pixel, (target.hits > 0) & kept, len(pixel_id)) > 0
    dead = pixel_id[(silence < SURE) & ~any_hit]

    places = np.stack((spots.event_id, spots.pixel_id), axis=1)
    without_charge = np.isin(hits.event_id, event_id[~off]) & ~in_rows(hits.event_id, hits.pixel_id, places)
    noisy_id, number = np.unique(hits.pixel_id[without_charge], return_counts=True)
    noisy = noisy_id[number >= NOISY]

    single = kept & (is_far | lost | (target.left < SURE)) & ~np.isin(spots.pixel_id, np.union1d(dead, noisy))
    alone = places[single]
    found = Cleaning(dead=dead, noisy=noisy, events=events, spots=alone[np.lexsort(alone.T[::-1])])
    lost_pixels, lost_spots = len(dead) / max(len(pixel_id), 1), single.sum() / max(kept.sum(), 1)
    within = len(events) <= MOST_EVENTS * len(event_id) and max(lost_pixels, lost_spots) <= MOST_PIXELS
    return found if within else Cleaning()
