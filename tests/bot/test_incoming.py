"""Pictures from members: what is taken, how it is kept, and where a link may not lead."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import io
import zlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field

import pytest
import pytest_asyncio
from aiohttp import web
from PIL import Image

from actions import downloads
from actions.downloads import MOST_BYTES, InputImage, NotALink, PrivateAddress, TooManyBytes, Unreachable
from actions.image_decoding import LONGEST_SIDE, ImageRefused, NotAnImage, TooManyPixels
from actions.input_images import InputImages
from bot import errors
from storage.backends import Backends
from storage.config import Config
from storage.images import ImageStore
from tests.bot import photos

SOFT = 12
"""How far JPEG may be from the colour that was saved."""


@pytest.fixture
def images(config: Config) -> ImageStore:
    return ImageStore(config.images)


def keep(images: ImageStore, data: bytes) -> InputImage:
    converted = downloads.convert(data)
    images.save(converted.key, converted.png)
    return converted


async def receive(backends: Backends, link: str) -> InputImage:
    """The picture behind a link, kept for a command that goes well."""
    async with InputImages(backends, 1) as arrivals:
        (found,) = await arrivals.receive([link])
        return found


def stored(images: ImageStore, kept: InputImage) -> Image.Image:
    return Image.open(io.BytesIO(images.load(kept.key)))


def corners(image: Image.Image) -> list[tuple[int, ...]]:
    """Colours near the corners, in reading order."""
    x, y = image.width - 5, image.height - 5
    return [image.convert("RGB").getpixel(place) for place in ((4, 4), (x, 4), (4, y), (x, y))]  # type: ignore[misc]


def near(found: list[tuple[int, ...]], wanted: list[tuple[int, ...]]) -> bool:
    pairs = zip(found, wanted, strict=True)
    return all(abs(a - b) <= SOFT for one, other in pairs for a, b in zip(one, other, strict=True))


RED, LIME, BLUE, YELLOW = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "AVIF"])
def test_each_format_is_kept_as_png_under_a_key_of_its_content(images: ImageStore, kind: str) -> None:
    kept = keep(images, photos.file(photos.quarters(), kind))
    data = images.load(kept.key)
    assert kept.key == f"incoming/{hashlib.sha256(data).hexdigest()}.png"
    image = stored(images, kept)
    assert (image.format, image.mode) == ("PNG", "RGB")
    assert image.size == (kept.width, kept.height) == (64, 48)
    assert near(corners(image), [RED, LIME, BLUE, YELLOW])


def test_the_same_picture_has_the_same_key_and_another_another(images: ImageStore) -> None:
    first = keep(images, photos.png())
    assert keep(images, photos.png()) == first
    assert keep(images, photos.file(photos.quarters(), "WEBP", lossless=True)) == first
    assert keep(images, photos.png(colour="gold")).key != first.key


@pytest.mark.parametrize(
    ("orientation", "size", "wanted"),
    [
        (1, (64, 48), [RED, LIME, BLUE, YELLOW]),
        (3, (64, 48), [YELLOW, BLUE, LIME, RED]),
        (6, (48, 64), [BLUE, RED, YELLOW, LIME]),
        (8, (48, 64), [LIME, YELLOW, RED, BLUE]),
    ],
)
def test_photos_stand_upright_and_forget_where_they_were_made(
    images: ImageStore, orientation: int, size: tuple[int, int], wanted: list[tuple[int, ...]]
) -> None:
    kept = keep(images, photos.jpeg(orientation))
    assert (kept.width, kept.height) == size
    image = stored(images, kept)
    assert near(corners(image), wanted)
    assert len(image.getexif()) == 0
    assert b"phone" not in images.load(kept.key)


def test_what_is_transparent_is_white(images: ImageStore) -> None:
    clear = photos.quarters().convert("RGBA")
    clear.putalpha(Image.new("L", clear.size, 0))
    assert corners(stored(images, keep(images, photos.file(clear)))) == [(255, 255, 255)] * 4
    palette = photos.quarters().quantize(8)
    palette.info["transparency"] = palette.getpixel((4, 4))
    seen = corners(stored(images, keep(images, photos.file(palette))))
    assert seen[0] == (255, 255, 255)
    assert seen[1] == LIME


def test_sixteen_bits_are_not_cut_off(images: ImageStore) -> None:
    deep = Image.new("I;16", (32, 32), 128 * 256)
    image = stored(images, keep(images, photos.file(deep)))
    assert near(corners(image), [(128, 128, 128)] * 4)


def test_only_the_first_frame_counts(images: ImageStore) -> None:
    frames = [Image.new("RGB", (32, 32), colour) for colour in ("red", "blue")]
    data = photos.file(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert corners(stored(images, keep(images, data)))[0] == RED


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_large_pictures_become_smaller_in_proportion(images: ImageStore, kind: str) -> None:
    kept = keep(images, photos.file(photos.quarters(4600, 2300), kind))
    assert (kept.width, kept.height) == (LONGEST_SIDE, LONGEST_SIDE // 2)
    assert near(corners(stored(images, kept)), [RED, LIME, BLUE, YELLOW])


def _bomb(width: int, height: int) -> bytes:
    """A small PNG that says it has so many pixels."""
    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([8, 2, 0, 0, 0])
    chunks = [b"IHDR" + header, b"IDAT" + zlib.compress(b"\0" * 1000), b"IEND"]
    framed = [
        (len(chunk) - 4).to_bytes(4, "big") + chunk + zlib.crc32(chunk).to_bytes(4, "big") for chunk in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(framed)


@pytest.mark.parametrize(("width", "height"), [(8000, 6251), (12_000, 9_000), (60_000, 60_000)])
def test_too_many_pixels_are_refused_before_they_are_decoded(
    images: ImageStore, width: int, height: int
) -> None:
    with pytest.raises(TooManyPixels):
        keep(images, _bomb(width, height))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"hello",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"BM" + bytes(200),
        photos.png()[:60],
        photos.jpeg()[:200],
        b"GIF89a" + bytes(40),
        b"RIFF\x24\0\0\0WEBPVP8 " + bytes(40),
        _bomb(100, 100),
    ],
    ids=["empty", "text", "svg", "bmp", "half a png", "half a jpeg", "gif", "webp", "lying png"],
)
def test_what_is_no_picture_is_refused(images: ImageStore, data: bytes) -> None:
    with pytest.raises(NotAnImage):
        keep(images, data)
    assert not (images.folder / "incoming").exists()


def test_too_many_bytes_are_refused(images: ImageStore) -> None:
    with pytest.raises(TooManyBytes):
        keep(images, bytes(MOST_BYTES + 1))


def _to(address: str) -> web.Response:
    return web.Response(status=302, headers={"Location": address})


_LEADS = {"/elsewhere": {"Location": "ftp://example.com/picture.png"}, "/nowhere": {}}


@dataclass
class Site:
    """A web site on a loopback port; `asked` are the paths that were requested."""

    port: int = 0
    asked: list[str] = field(default_factory=list)
    at_once: int = 0
    most_at_once: int = 0

    def __call__(self, path: str, host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}{path}"

    async def answer(self, request: web.Request) -> web.StreamResponse:
        path = request.path
        self.asked.append(path)
        if path.startswith("/slow/"):
            return await self._slow(int(path.rpartition("/")[2]))
        if path.startswith("/hops/"):
            left = int(path.rpartition("/")[2])
            return _to("/picture.png" if left <= 1 else f"/hops/{left - 1}")
        match path:
            case "/picture.png":
                return web.Response(body=photos.png(), content_type="image/png")
            case "/page":
                return web.Response(text="<html>", content_type="text/html")
            case "/inside":
                return _to(self("/picture.png", "localhost"))
            case "/elsewhere" | "/nowhere":
                return web.Response(status=302, headers=_LEADS[path])
            case "/claims":
                return web.Response(body=b"", headers={"Content-Length": str(MOST_BYTES + 1)})
            case "/endless":
                return await self._endless(request)
            case "/packed":
                packed = gzip.compress(bytes(MOST_BYTES + 2**20))
                return web.Response(body=packed, headers={"Content-Encoding": "gzip"})
        return web.Response(status=404)

    async def _slow(self, width: int) -> web.Response:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(0.1)
        self.at_once -= 1
        return web.Response(body=photos.png(width, 8), content_type="image/png")

    async def _endless(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        response.enable_chunked_encoding()
        await response.prepare(request)
        try:
            while True:
                await response.write(bytes(2**18))
        except ConnectionError:
            return response


@pytest_asyncio.fixture
async def site() -> AsyncIterator[Site]:
    site = Site()
    app = web.Application()
    app.router.add_get("/{path:.*}", site.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.2)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    site.port = runner.addresses[0][1]
    yield site
    await runner.cleanup()


@pytest.fixture
def backends(config: Config) -> Iterator[Backends]:
    backends = Backends.open(config)
    yield backends
    backends.close()


@pytest.fixture
def trusting(backends: Backends, site: Site) -> Backends:
    """The site is a host of the operator's own, named as one whose pictures may be linked."""
    backends.config = backends.config.model_copy(
        update={"link_hosts": f"wiki.example.lan, 127.0.0.1:{site.port}"}
    )
    return backends


@pytest.mark.parametrize("typed", ["{}", "<{}>", "  {} ", "{},", "[a boat]({})", "({})"])
async def test_a_link_is_fetched(trusting: Backends, site: Site, typed: str) -> None:
    kept = await receive(trusting, typed.format(site("/picture.png?size=large")))
    assert (kept.width, kept.height) == (64, 48)
    assert trusting.images.exists(kept.key)


async def test_three_redirects_are_followed_and_no_more(trusting: Backends, site: Site) -> None:
    assert await receive(trusting, site("/hops/3"))
    with pytest.raises(Unreachable):
        await receive(trusting, site("/hops/4"))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "0.0.0.0"])
async def test_links_into_the_own_network_are_refused_unasked(
    backends: Backends, site: Site, host: str
) -> None:
    with pytest.raises(PrivateAddress):
        await receive(backends, site("/picture.png", host))
    assert site.asked == []


async def test_a_redirect_into_the_own_network_is_refused(trusting: Backends, site: Site) -> None:
    with pytest.raises(PrivateAddress):
        await receive(trusting, site("/inside"))
    assert site.asked == ["/inside"]


@pytest.mark.parametrize("path", ["/claims", "/endless", "/packed"])
async def test_no_more_is_read_than_may_be_kept(trusting: Backends, site: Site, path: str) -> None:
    with pytest.raises(TooManyBytes):
        await receive(trusting, site(path))


@pytest.mark.parametrize("path", ["/missing", "/nowhere"])
async def test_what_does_not_answer_with_a_picture_is_unreachable(
    trusting: Backends, site: Site, path: str
) -> None:
    with pytest.raises(Unreachable):
        await receive(trusting, site(path))


async def test_nobody_there(backends: Backends) -> None:
    with pytest.raises(Unreachable):
        await receive(backends, "https://nobody.invalid/picture.png")


@pytest.mark.parametrize(
    "link",
    [
        "picture.png",
        "ftp://example.com/a.png",
        "file:///etc/passwd",
        "https://",
        "http://[",
        "http://a:b/c",
        "http://2130706433/a.png",
    ],
)
async def test_what_is_no_link_is_refused(backends: Backends, link: str) -> None:
    with pytest.raises(NotALink):
        await receive(backends, link)


async def test_a_redirect_to_what_is_no_link_is_refused(trusting: Backends, site: Site) -> None:
    with pytest.raises(NotALink):
        await receive(trusting, site("/elsewhere"))


async def test_several_links_are_fetched_side_by_side_and_keep_their_order(
    trusting: Backends, site: Site
) -> None:
    links = [site(f"/slow/{8 * number}") for number in range(9, 1, -1)]
    async with InputImages(trusting, 1) as arrivals:
        found = await arrivals.receive(links)
    assert [each.width for each in found] == [8 * number for number in range(9, 1, -1)]
    assert 1 < site.most_at_once <= downloads.AT_A_TIME


async def test_of_several_links_the_one_that_fails_is_named(trusting: Backends, site: Site) -> None:
    links = [site("/slow/8"), site("/missing"), site("/slow/16")]
    with pytest.raises(Unreachable) as refused:
        await downloads.fetch(trusting, links)
    sentence = errors.sentence(refused.value)
    assert sentence.startswith(f"`{links[1]}`: ")
    assert "404" in sentence


async def test_all_that_a_command_fetches_has_one_limit_of_time(
    trusting: Backends, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloads, "ALL_WITHIN_S", 0.25)
    with pytest.raises(Unreachable):
        await downloads.fetch(trusting, [site(f"/slow/{8 + number}") for number in range(16)])
    assert len(site.asked) < 16


async def test_a_page_is_no_picture(trusting: Backends, site: Site) -> None:
    with pytest.raises(NotAnImage):
        await receive(trusting, site("/page"))


@pytest.mark.parametrize(
    ("error", "named"),
    [
        (TooManyBytes(), "20 MB"),
        (TooManyPixels(), "50 million"),
        (NotAnImage(), "PNG, JPEG, WebP, GIF, AVIF or HEIC"),
        (Unreachable(404), "404"),
        (Unreachable(), "as an attachment"),
        (PrivateAddress(), "private network"),
        (NotALink("picture.png"), "`picture.png`"),
    ],
)
def test_each_refusal_has_its_sentence(error: ImageRefused, named: str) -> None:
    assert errors.expected(error)
    assert named in errors.sentence(error)
