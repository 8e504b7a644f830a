"""HEIC files as phones write them: a grid of tiles, which the standard's `irot` may turn.

No library that Easel may use writes HEIC, so a tile of each colour is kept, and the container around it is
written here (ISO/IEC 23008-12). Two hundred tiles are as many mentions of the same few bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

_TILES = Path(__file__).with_name("tiles.heic").read_bytes()
"""Four pictures of one colour each, in the order of `photos.QUARTERS`."""
_HVCC = _TILES.index(b"hvcC")
DECODER_CONFIGURATION = _TILES[_HVCC - 4 : _HVCC - 4 + struct.unpack_from(">I", _TILES, _HVCC - 4)[0]]
SIDE = 512
GRID, FIRST_TILE = 1, 2


def grid(columns: int, rows: int, tiles: Sequence[int], size: tuple[int, int], turns: int = 0) -> bytes:
    """Tiles by their number, line by line, cut at `size`, to be shown after so many quarter turns left."""
    header = _box(b"ftyp", b"heic" + bytes(4) + b"mif1heicmiaf")
    start = len(header) + len(_meta(columns * rows, tiles, size, turns, 0)) + 8
    meta = _meta(columns * rows, tiles, size, turns, start)
    described = struct.pack(">BBBBHH", 0, 0, rows - 1, columns - 1, *size)
    return header + meta + _box(b"mdat", described + b"".join(_coded(index) for index in range(4)))


def _meta(count: int, tiles: Sequence[int], size: tuple[int, int], turns: int, start: int) -> bytes:
    ids = range(FIRST_TILE, FIRST_TILE + count)
    named = b"".join(_full(b"infe", struct.pack(">HH", id_, 0) + b"hvc1\0", version=2) for id_ in ids)
    grid_named = _full(b"infe", struct.pack(">HH", GRID, 0) + b"grid\0", version=2)
    made_of = struct.pack(f">HH{count}H", GRID, count, *ids)
    parts = [
        _full(b"hdlr", bytes(4) + b"pict" + bytes(13)),
        _full(b"pitm", struct.pack(">H", GRID)),
        _full(b"iinf", struct.pack(">H", 1 + count) + grid_named + named),
        _full(b"iref", _box(b"dimg", made_of)),
        _box(b"iprp", _properties(ids, size, turns)),
        _full(b"iloc", b"\x44\0" + struct.pack(">H", 1 + count) + _places(ids, tiles, start)),
    ]
    return _full(b"meta", b"".join(parts))


def _properties(ids: range, size: tuple[int, int], turns: int) -> bytes:
    tile, whole = (_full(b"ispe", struct.pack(">II", *each)) for each in ((SIDE, SIDE), size))
    kept = DECODER_CONFIGURATION + tile + whole + _box(b"irot", bytes([turns]))
    essential = 0x80
    of_grid = struct.pack(">HBBB", GRID, 2, 3, essential | 4)
    of_tiles = b"".join(struct.pack(">HBBB", id_, 2, essential | 1, 2) for id_ in ids)
    return _box(b"ipco", kept) + _full(b"ipma", struct.pack(">I", 1 + len(ids)) + of_grid + of_tiles)


def _places(ids: range, tiles: Sequence[int], start: int) -> bytes:
    """Offset and length of each item's bytes in the file."""
    lengths = [8, *(len(_coded(index)) for index in range(4))]
    starts = [start + sum(lengths[:index]) for index in range(5)]
    places = [(GRID, 0), *((id_, 1 + tiles[index % len(tiles)]) for index, id_ in enumerate(ids))]
    return b"".join(struct.pack(">HHHII", id_, 0, 1, starts[which], lengths[which]) for id_, which in places)


def _coded(index: int) -> bytes:
    """A tile's bytes, found by the file's `iloc`."""
    offset, _, _, length = struct.unpack_from(">IHII", _TILES, _TILES.index(b"iloc") + 12 + 18 * index + 4)
    return _TILES[offset : offset + length]


def _box(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", 8 + len(content)) + name + content


def _full(name: bytes, content: bytes, version: int = 0) -> bytes:
    return _box(name, bytes([version, 0, 0, 0]) + content)
