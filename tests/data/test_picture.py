import io
import struct
import threading
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import sklearn.datasets
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import GifImagePlugin, Image, ImageFile

from headstart.contracts import PicturePreprocess
from headstart.core.errors import BadExample
from headstart.core.frameworks import prepare_torch
from headstart.data import picture

IMAGES = Path(sklearn.datasets.__file__).parent / "images"
RANDOM = np.random.default_rng(0)


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def noise(mode: str = "RGB", size: tuple[int, int] = (40, 30)) -> Image.Image:
    channels = len(Image.new(mode, (1, 1)).getbands())
    return Image.frombytes(
        mode, size, RANDOM.integers(0, 256, size[0] * size[1] * channels, np.uint8).tobytes()
    )


def pixels(content: bytes) -> np.ndarray:
    return np.asarray(picture.decode(content)[0])


def png(header: bytes, *chunks: tuple[bytes, bytes]) -> bytes:
    parts = [(b"IHDR", header), *chunks, (b"IEND", b"")]
    packed = (struct.pack(">I", len(b)) + n + b + struct.pack(">I", zlib.crc32(n + b)) for n, b in parts)
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


def refused(content: bytes) -> str:
    with pytest.raises(BadExample) as error:
        picture.decode(content)
    return str(error.value)


def preprocess(size: int = 96, crop: float = 0.875, interpolation: str = "bicubic") -> PicturePreprocess:
    return PicturePreprocess(
        size=size,
        crop=crop,
        interpolation=interpolation,
        order="rgb",
        scale=1 / 255,
        mean=(0.0, 0.0, 0.0),
        std=(1.0, 1.0, 1.0),
    )


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "PPM"])
def test_lossless_formats_keep_every_value_and_need_no_note(kind: str) -> None:
    image = noise()
    decoded, notes = picture.decode(saved(image, kind))
    assert (decoded.mode, notes) == ("RGB", ())
    np.testing.assert_array_equal(np.asarray(decoded), np.asarray(image))


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "GIF"])
def test_lossy_formats_come_close(kind: str) -> None:
    image = Image.new("RGB", (40, 30), (200, 90, 30))
    decoded, notes = picture.decode(saved(image, kind))
    assert notes == ()
    assert np.abs(np.asarray(decoded).astype(int) - np.asarray(image)).max() <= 4


@pytest.mark.parametrize(
    ("mode", "kind"), [("L", "PNG"), ("1", "PNG"), ("P", "PNG"), ("P", "GIF"), ("L", "JPEG")]
)
def test_grey_is_said_and_a_palette_is_not(mode: str, kind: str) -> None:
    decoded, notes = picture.decode(saved(noise().convert(mode), kind))
    assert (decoded.mode, notes) == ("RGB", () if mode == "P" else (picture.GREY,))


def turned(array: np.ndarray, orientation: int) -> np.ndarray:
    """The EXIF standard's own words: where the stored row 0 and column 0 are to be shown."""
    rows, columns = array.shape[:2]
    shape = (rows, columns) if orientation < 5 else (columns, rows)
    shown = np.zeros((*shape, 3), array.dtype)
    for r in range(rows):
        for c in range(columns):
            place = {
                1: (r, c),
                2: (r, columns - 1 - c),
                3: (rows - 1 - r, columns - 1 - c),
                4: (rows - 1 - r, c),
                5: (c, r),
                6: (c, rows - 1 - r),
                7: (columns - 1 - c, rows - 1 - r),
                8: (columns - 1 - c, r),
            }[orientation]
            shown[place] = array[r, c]
    return shown


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_exif_orientation_is_applied(orientation: int, kind: str) -> None:
    image = noise(size=(7, 4))
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if kind == "WEBP" else {}
    decoded, notes = picture.decode(saved(image, kind, exif=exif, **options))
    np.testing.assert_array_equal(np.asarray(decoded), turned(np.asarray(image), orientation))
    assert notes == ((picture.UPRIGHT,) if orientation > 1 else ())


def test_exif_orientation_of_a_jpeg() -> None:
    image = Image.open(IMAGES / "china.jpg").resize((64, 48))
    exif = Image.Exif()
    exif[0x0112] = 6
    decoded, notes = picture.decode(saved(image, "JPEG", exif=exif, quality=95))
    difference = np.asarray(decoded).astype(int) - turned(np.asarray(image), 6)
    assert (decoded.size, notes) == ((48, 64), (picture.UPRIGHT,))
    assert np.abs(difference).mean() < 4


@pytest.mark.parametrize(
    "exif", [b"Exif\0\0garbage", b"Exif\0\0II*\0\xff\xff\xff\x7f", b"Exif\0\0MM\0*\0\0\0\x08\xff\xff"]
)
def test_a_broken_exif_block_leaves_the_picture(exif: bytes) -> None:
    image = noise()
    assert picture.decode(saved(image, "JPEG", exif=exif))[1] == ()


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_orientation_that_does_not_exist_is_no_orientation(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    assert picture.decode(saved(noise(), "JPEG", exif=exif))[1] == ()


def test_transparency_is_laid_on_white() -> None:
    image = Image.new("RGBA", (4, 4), (255, 0, 0, 0))
    image.putpixel((0, 0), (0, 0, 255, 255))
    image.putpixel((1, 0), (0, 0, 0, 128))
    decoded, notes = picture.decode(saved(image, "PNG"))
    assert notes == (picture.ON_WHITE,)
    assert [decoded.getpixel((x, 0)) for x in range(3)] == [(0, 0, 255), (127, 127, 127), (255, 255, 255)]


def test_transparency_of_grey_palette_and_colour_key() -> None:
    for image, options in (
        (Image.new("LA", (4, 4), (10, 0)), {}),
        (Image.new("P", (4, 4), 0), {"transparency": 0}),
        (Image.new("RGB", (4, 4), (1, 2, 3)), {"transparency": (1, 2, 3)}),
        (Image.new("L", (4, 4), 7), {"transparency": 7}),
    ):
        content = saved(image, "PNG", **options)
        assert (pixels(content) == 255).all()
        assert picture.decode(content)[1] == (picture.ON_WHITE,)


def test_a_fully_opaque_alpha_channel_changes_nothing() -> None:
    image = noise()
    decoded, notes = picture.decode(saved(image.convert("RGBA"), "PNG"))
    assert notes == ()
    np.testing.assert_array_equal(np.asarray(decoded), np.asarray(image))


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "PPM"])
def test_sixteen_bit_grey_is_scaled_not_clipped(kind: str) -> None:
    values = np.array([[0, 128, 129, 257, 32768, 65407, 65408, 65535]], np.uint16)
    decoded, notes = picture.decode(saved(Image.fromarray(values), kind))
    assert np.asarray(decoded)[0, :, 0].tolist() == [0, 0, 1, 1, 128, 255, 255, 255]
    assert notes == (picture.SIXTEEN_BIT,)


def test_sixteen_bit_colour_is_noted() -> None:
    row = b"\0" + np.array([0, 257 * 100, 65535], ">u2").tobytes()
    content = png(struct.pack(">IIBBBBB", 1, 1, 16, 2, 0, 0, 0), (b"IDAT", zlib.compress(row)))
    decoded, notes = picture.decode(content)
    assert (decoded.getpixel((0, 0)), notes) == ((0, 100, 255), (picture.SIXTEEN_BIT,))


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (np.array([[0, 70_000]], np.int32), "from 0 to 70000"),
        (np.array([[-1, 5]], np.int32), "from -1 to 5"),
        (np.array([[0.0, 1.0]], np.float32), "from 0 to 1"),
        (np.array([[0.0, np.nan]], np.float32), "from nan to nan"),
    ],
)
def test_wide_values_that_are_no_levels_are_refused(values: np.ndarray, reason: str) -> None:
    assert reason in refused(saved(Image.fromarray(values), "TIFF"))


def test_wide_values_that_are_levels_are_taken() -> None:
    for dtype in (np.int32, np.float32):
        decoded, notes = picture.decode(saved(Image.fromarray(np.array([[0, 90, 255]], dtype)), "TIFF"))
        assert np.asarray(decoded)[0, :, 0].tolist() == [0, 90, 255]
        assert notes == (picture.WIDE_AS_LEVELS,)


def test_cmyk_and_lab_are_converted() -> None:
    cyan = Image.new("CMYK", (8, 8), (255, 0, 0, 0))
    for kind in ("JPEG", "TIFF"):
        decoded, notes = picture.decode(saved(cyan, kind))
        assert notes == ("CMYK colours converted to RGB",)
        assert np.abs(np.subtract(decoded.getpixel((3, 3)), (0, 255, 255))).max() <= 3
    white = Image.new("LAB", (8, 8), (255, 128, 128))
    decoded, notes = picture.decode(saved(white, "TIFF"))
    assert notes == ("LAB colours converted to RGB",)
    assert min(decoded.getpixel((3, 3))) > 250


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty file (0 bytes)"),
        (b"\0" * 5000, "nothing but zero bytes"),
        (b"<!DOCTYPE html><p>404", "an HTML page"),
        (b"\xef\xbb\xbf\n <html>", "an HTML page"),
        (b"<svg xmlns='x'/>", "an SVG drawing"),
        (b"%PDF-1.7", "a PDF document"),
        (b"PK\x03\x04rest", "a ZIP archive"),
        (b"not found\n", "text"),
        ("été".encode() * 400, "text"),
        (b"version https://git-lfs.github.com/spec/v1", "a Git LFS pointer"),
        (b"\0\0\0\x18ftypheic", "a HEIC picture"),
        (b"\0\0\0\x18ftypavif", "an AVIF picture"),
        (bytes(range(128, 256)), "data of no known kind"),
        (saved(noise(), "ICO"), "an icon (ICO)"),
        (saved(noise(), "EPS"), "a PostScript document"),
        (saved(noise(), "TGA"), "data of no known kind"),
    ],
)
def test_what_is_no_picture_is_told_apart(content: bytes, reason: str) -> None:
    assert reason in refused(content)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "BMP", "TIFF", "PPM", "WEBP"])
def test_every_kind_of_truncation_is_refused(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # Some libraries switch this on for everybody.
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    content = saved(noise(size=(120, 90)), kind)
    for share in (0.001, 0.01, 0.1, 0.3, 0.5, 0.8, 0.95, 0.99):
        assert refused(content[: max(1, int(len(content) * share))])


def test_a_progressive_jpeg_and_an_interlaced_picture_cut_short_are_refused() -> None:
    content = saved(Image.open(IMAGES / "flower.jpg"), "JPEG", progressive=True)
    assert refused(content[: len(content) // 2]) == "truncated JPEG picture"


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP"])
def test_an_animation_is_refused_with_its_frames(kind: str) -> None:
    frames = [noise() for _ in range(12)]
    content = saved(frames[0], kind, save_all=True, append_images=frames[1:])
    assert refused(content) == "animated, 12 frames: save the one frame you mean"


def test_pages_are_refused() -> None:
    content = saved(noise(), "TIFF", save_all=True, append_images=[noise()])
    assert refused(content) == "2 pages: save the one page you mean"


def test_endless_frames_are_not_counted_to_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    seek, seeks = GifImagePlugin.GifImageFile.seek, list[int]()
    monkeypatch.setattr(
        GifImagePlugin.GifImageFile, "seek", lambda self, frame: (seeks.append(frame), seek(self, frame))
    )
    first = saved(Image.new("L", (1, 1)), "GIF")
    frame = first[first.index(b"\x2c") : -1]
    assert refused(first[:-1] + frame * 50_000 + b";").startswith("animated, more than 1000 frames")
    assert len(seeks) <= picture.MAX_FRAMES_COUNTED + 5


def test_a_phone_picture_with_a_second_picture_is_its_first() -> None:
    content = saved(noise(), "MPO", save_all=True, append_images=[noise()])
    assert picture.decode(content)[1] == (picture.FIRST_OF_SEVERAL,)


def bomb(width: int, height: int) -> bytes:
    return png(struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0), (b"IDAT", zlib.compress(b"\0" * 99)))


def test_oversized_pictures_are_refused_by_their_header() -> None:
    bombs = [bomb(7_300, 7_200), bomb(60_000, 60_000), bomb(2**31 - 1, 2**31 - 1)]
    bombs.append(b"P6 70000 70000 255\n")
    bombs.append(b"GIF89a\xff\xff\xff\xff\0\0\0" + b"\x2c\0\0\0\0\xff\xff\xff\xff\0\x02\x00\x3b")
    for content in bombs:
        assert "megapixels" in refused(content)
    assert "truncated" in refused(bomb(7_200, 7_200))


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_damage_anywhere_is_survived(data: st.DataObject) -> None:
    content = bytearray(SAMPLES[data.draw(st.integers(0, len(SAMPLES) - 1))])
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        image, notes = picture.decode(bytes(content))
    except BadExample:
        return
    assert (image.mode, isinstance(notes, tuple)) == ("RGB", True)


SAMPLES = [saved(noise(size=(9, 7)), kind) for kind in ("JPEG", "PNG", "GIF", "BMP", "TIFF", "PPM", "WEBP")]
SAMPLES.append(saved(noise(size=(9, 7)), "TIFF", compression="tiff_lzw"))


def test_warnings_are_kept_in_from_every_thread() -> None:
    # Pillow warns of both: a header of 170 megapixels, and palette transparency given in bytes.
    contents = [bomb(17_000, 10_000), saved(Image.new("P", (9, 9)), "PNG", transparency=bytes(256)), b"GIF8"]
    failures: list[object] = []

    def work() -> None:
        for content in contents * 20:
            try:
                picture.decode(content)
            except BadExample:
                pass
            except BaseException as error:
                failures.append(error)

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert (failures, caught) == ([], [])


def test_threads_decode_what_one_thread_decodes() -> None:
    contents = [(IMAGES / name).read_bytes() for name in ("china.jpg", "flower.jpg")] * 4
    expected = [picture.square(picture.decode(content)[0], preprocess()) for content in contents]
    results: dict[int, np.ndarray] = {}

    def work(place: int) -> None:
        results[place] = picture.square(picture.decode(contents[place])[0], preprocess())

    threads = [threading.Thread(target=work, args=(place,)) for place in range(len(contents))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(np.array_equal(results[place], array) for place, array in enumerate(expected))


@pytest.fixture(scope="module")
def timm_transform() -> Callable[[PicturePreprocess], Callable[[Image.Image], np.ndarray]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        prepare_torch()
        from timm.data import create_transform

    def make(given: PicturePreprocess) -> Callable[[Image.Image], np.ndarray]:
        transform = create_transform(
            given.size,
            is_training=False,
            interpolation=given.interpolation,
            crop_pct=given.crop,
            normalize=False,
        )
        return lambda image: transform(image).numpy().transpose(1, 2, 0)

    return make


@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear", "lanczos", "nearest"])
@pytest.mark.parametrize(("size", "crop"), [(224, 0.875), (224, 0.9), (96, 0.875), (299, 0.95), (240, 1.0)])
def test_square_is_timms_evaluation_transform(
    timm_transform: Callable[..., Callable[[Image.Image], np.ndarray]],
    size: int,
    crop: float,
    interpolation: str,
) -> None:
    given = preprocess(size, crop, interpolation)
    for name in ("china.jpg", "flower.jpg"):
        for box in ((0, 0, 640, 427), (0, 0, 301, 427), (5, 7, 640, 307)):
            image = picture.decode((IMAGES / name).read_bytes())[0].crop(box)
            np.testing.assert_array_equal(picture.square(image, given), timm_transform(given)(image))


def test_a_picture_smaller_than_the_input_keeps_its_border() -> None:
    image = noise(size=(64, 64))
    expected = np.asarray(image.resize((96, 96), Image.Resampling.BICUBIC))
    np.testing.assert_array_equal(picture.square(image, preprocess(96)), expected)
    # One pixel more than the input has a border to spare again.
    larger = noise(size=(96, 96)).resize((109, 109), Image.Resampling.BICUBIC)
    np.testing.assert_array_equal(picture.square(larger, preprocess(96)), np.asarray(larger)[6:102, 6:102])


@pytest.mark.parametrize("size", [(2_000, 40), (40, 2_000), (900, 100)])
def test_a_strip_is_cut_before_it_grows(size: tuple[int, int]) -> None:
    image = noise(size=(50, 50)).resize(size, Image.Resampling.BICUBIC)
    given = preprocess(48)
    shorter = 54 if min(size) >= 48 else 48
    whole = image.resize(tuple(side * shorter // min(size) for side in size), Image.Resampling.BICUBIC)
    left, top = round((whole.width - 48) / 2), round((whole.height - 48) / 2)
    expected = np.asarray(whole.crop((left, top, left + 48, top + 48))).astype(int)
    assert np.abs(picture.square(image, given) - expected).max() <= 1


def test_a_strip_of_one_pixel_takes_no_gigabytes() -> None:
    assert picture.square(Image.new("RGB", (60_000, 1), (9, 8, 7)), preprocess(224)).tolist()[0][0] == [
        9,
        8,
        7,
    ]


def test_pixels_of_arrays_become_pictures() -> None:
    grey, colour = RANDOM.integers(0, 256, (5, 4), np.uint8), RANDOM.integers(0, 256, (3, 5, 4), np.uint8)
    assert np.array_equal(np.asarray(picture.from_pixels(grey))[..., 1], grey)
    assert np.array_equal(
        np.asarray(picture.from_pixels(colour.transpose(1, 2, 0))), colour.transpose(1, 2, 0)
    )
