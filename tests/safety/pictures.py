"""Pictures that unpack to gigabytes, and honest ones as large as may be."""

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image, PngImagePlugin

from headstart.core.errors import BadExample
from headstart.data import mask, picture
from tests.safety.attacks import Attack


def png(width: int, height: int, colour: int, *chunks: tuple[bytes, bytes], bits: int = 8) -> bytes:
    """Return a PNG of chunks."""
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    parts = [(b"IHDR", header), *chunks, (b"IEND", b"")]
    packed = (struct.pack(">I", len(b)) + n + b + struct.pack(">I", zlib.crc32(n + b)) for n, b in parts)
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


def saved(mode: str, kind: str, side: int = 64, **options: Any) -> bytes:
    """Return a picture of one colour."""
    buffer = io.BytesIO()
    Image.new(mode, (side, side)).save(buffer, kind, **options)
    return buffer.getvalue()


def frames(kind: str, count: int) -> bytes:
    """Return an animation, or pages."""
    buffer, many = io.BytesIO(), [Image.new("L", (8, 8), place % 251) for place in range(count)]
    many[0].save(buffer, kind, save_all=True, append_images=many[1:])
    return buffer.getvalue()


def _zeros(count: int) -> bytes:
    packer = zlib.compressobj(9)
    piece = bytes(1 << 20)
    return b"".join(packer.compress(piece) for _ in range(count >> 20)) + packer.flush()


def _tiff(width: int, height: int, **more: int) -> bytes:
    tags = {
        256: width,
        257: height,
        258: 8,
        259: 1,
        262: 1,
        273: 8,
        277: 1,
        278: height,
        279: width * height & 0xFFFFFFFF,
    }
    tags |= {int(name[1:]): value for name, value in more.items()}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in sorted(tags.items()))
    return b"II*\0" + struct.pack("<I", 16) + bytes(8) + struct.pack("<H", len(tags)) + entries + bytes(4)


def _looping_tiff() -> bytes:
    content = bytearray(_tiff(4, 4))
    content[-4:] = struct.pack("<I", 16)  # the next page is this one
    return bytes(content)


def files() -> dict[str, bytes]:
    """Return all of them by name."""
    first = saved("L", "GIF", 1)
    frame = first[first.index(b"\x2c") : -1]
    text = PngImagePlugin.PngInfo()
    text.add_text("a", "b" * 100, zip=True)
    bomb = zlib.compress(bytes(200 << 20), 9)
    return {
        "PNG of 170 megapixels": png(13_100, 13_000, 2, (b"IDAT", zlib.compress(bytes(99)))),
        "PNG of 4 gigapixels": png(65_535, 65_535, 2, (b"IDAT", zlib.compress(bytes(99)))),
        "PNG of 2 to the 62 pixels": png(2**31 - 1, 2**31 - 1, 6, (b"IDAT", zlib.compress(bytes(99)))),
        "PNG of one row": png(2**31 - 1, 1, 0, (b"IDAT", zlib.compress(bytes(99)))),
        "PNG of one column": png(1, 60_000_000, 0, (b"IDAT", zlib.compress(bytes(99)))),
        "PNG of no pixels": png(0, 5, 2, (b"IDAT", zlib.compress(bytes(99)))),
        "PNG of 63 megapixels with transparency": png(7_950, 7_950, 6, (b"IDAT", _zeros(253 << 20))),
        "PNG of 63 megapixels, 16 bits": png(7_950, 7_950, 2, (b"IDAT", _zeros(380 << 20)), bits=16),
        "PNG with 200 MB in a text": png(
            9, 9, 0, (b"zTXt", b"a\0\0" + bomb), (b"IDAT", zlib.compress(bytes(90)))
        ),
        "PNG with 200 MB in a profile": png(9, 9, 0, (b"iCCP", b"a\0\0" + bomb)),
        "PNG with 200 MB in an international text": png(9, 9, 0, (b"iTXt", b"a\0\1\0\0\0" + bomb)),
        "PNG with a chunk of 2 GB": png(9, 9, 0)[:-12] + struct.pack(">I", 2**31 - 1) + b"IDATx",
        "PNG of 60,000 frames": png(
            9, 9, 0, (b"acTL", struct.pack(">II", 60_000, 0)), (b"IDAT", zlib.compress(bytes(90)))
        ),
        "PNG with EXIF that points at itself": png(
            9, 9, 0, (b"eXIf", b"II*\0" + struct.pack("<IHHHII", 8, 1, 0x8769, 4, 1, 8)), (b"IDAT", b"")
        ),
        "APNG": frames("PNG", 40),
        "GIF of 4 gigapixels": b"GIF89a\xff\xff\xff\xff\0\0\0\x2c\0\0\0\0\xff\xff\xff\xff\0\x02\x00\x3b",
        "GIF with a larger frame": b"GIF89a\x02\0\x02\0\0\0\0\x2c\0\0\0\0\xff\xff\xff\xff\0\x08\x02\x00\x3b",
        "GIF of 50,000 frames": first[:-1] + frame * 50_000 + b";",
        "GIF, an animation": frames("GIF", 40),
        "WebP of 268 megapixels": saved("RGB", "WEBP", 9).replace(b"VP8 ", b"VP8X")[:20]
        + b"\0" * 4
        + b"\xfe\x3f\0" * 2,
        "WebP of 63 megapixels": saved("RGB", "WEBP", 7_950, lossless=True, method=0),
        "WebP of 25 megapixels": saved("RGBA", "WEBP", 5_000, lossless=True, method=0),
        "WebP, an animation": frames("WEBP", 40),
        "JPEG of 4 gigapixels": saved("L", "JPEG", 8).replace(b"\0\x08\0\x08", b"\xff\xff\xff\xff", 1),
        "JPEG of 63 megapixels, progressive": saved("RGB", "JPEG", 7_950, progressive=True),
        "JPEG of 50 megapixels in CMYK": saved("CMYK", "JPEG", 7_100),
        "TIFF of 4 gigapixels": _tiff(65_535, 65_535),
        "TIFF of 60 megapixels that are not there": _tiff(7_700, 7_700),
        "TIFF of pages": frames("TIFF", 40),
        "TIFF of pages without end": _looping_tiff(),
        "TIFF with strips of 4 GB": _tiff(64, 64, t279=0xFFFFFFFF),
        "TIFF of 60 megapixels in float": saved("F", "TIFF", 7_700, compression="tiff_lzw"),
        "TIFF with a thousand samples": _tiff(64, 64, t277=1_000),
        "BMP of 2 gigapixels": b"BM"
        + struct.pack("<IHHIIiiHHIIiiII", 54, 0, 0, 54, 40, 46_000, 46_000, 1, 24, 0, 0, 0, 0, 0, 0),
        "BMP of negative size": b"BM"
        + struct.pack("<IHHIIiiHHIIiiII", 54, 0, 0, 54, 40, -5, 5, 1, 24, 0, 0, 0, 0, 0, 0),
        "PPM of 4 gigapixels": b"P6 70000 70000 255\n",
        "PPM of a size of a thousand digits": b"P6 " + b"9" * 1_000 + b" 9 255\n",
        "PPM in text": b"P3 8000 8000 255\n" + b"1 " * 1_000,
        "EPS": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n",
        "SVG that asks for files": b'<svg><image href="file:///etc/passwd"/></svg>',
        "a program in a picture's name": b"#!/bin/sh\ntouch /tmp/ran",
    }


def attacks(folder: Path) -> dict[str, Attack]:
    """Return what decodes each of them, as a picture and as a mask."""
    found: dict[str, Attack] = {}
    for name, content in files().items():
        path = folder / f"{hash(name):x}.png"
        path.write_bytes(content)
        found[name] = _decoding(path)
        if name.split()[0] in ("GIF", "EPS", "PPM", "BMP") or "giga" in name:
            found[f"{name}, as a mask"] = _masking(path)
    largest = folder / "largest.png"
    largest.write_bytes(saved("L", "PNG", 8_000))
    return {**found, "as large as may be": _decoding(largest), "a mask as large as may be": _masking(largest)}


def _decoding(path: Path) -> Callable[[], Any]:
    def decode() -> Any:
        picture.decode(path.read_bytes())
        raise BadExample("decoded, in the memory that it may take")

    return decode


def _masking(path: Path) -> Callable[[], Any]:
    def read() -> Any:
        values_HW, _ = mask.read_values(path)
        mask.distinct(values_HW)
        raise BadExample("decoded, in the memory that it may take")

    return read


def warm(folder: Path) -> None:
    """Decode honest pictures of every format."""
    for kind in ("PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP", "PPM"):
        picture.decode(saved("RGB", kind))
        (folder / "warm.png").write_bytes(saved("L", kind))
        if kind != "JPEG":
            mask.read_values(folder / "warm.png")
