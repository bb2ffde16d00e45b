"""What a file is, told from its first bytes; a suffix is a name, not evidence."""

HEAD_BYTES = 512

_PICTURES = (
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"GIF8", "GIF"),
    (b"BM", "BMP"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"),
)
_OTHERS = (
    (b"%PDF", "a PDF document"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"PK\x05\x06", "a ZIP archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"8BPS", "a Photoshop document"),
    (b"%!PS", "a PostScript document"),
    (b"\0\0\x01\0", "an icon (ICO)"),
    (b"\0\0\0\x0cjP  ", "a JPEG 2000 picture"),
    (b"\xff\x0a", "a JPEG XL picture"),
    (b"\0\0\0\x0cJXL ", "a JPEG XL picture"),
    (b"version https://git-lfs", "a Git LFS pointer, not the file itself"),
    (b"\x93NUMPY", "a NumPy array"),
)
_TEXTS = (
    (b"<!doctype html", "an HTML page"),
    (b"<html", "an HTML page"),
    (b"<svg", "an SVG drawing"),
    (b"<?xml", "an XML document"),
)


def picture_format(head: bytes) -> str | None:
    """Return the supported picture format (``PNG``, ``JPEG`` ...) that ``head`` begins, else None."""
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    if head[:1] == b"P" and head[1:2] in b"1234567Ff" and head[2:3].isspace():
        return "PPM"
    return next((name for magic, name in _PICTURES if head.startswith(magic)), None)


def describe(head: bytes) -> str:
    """Say in a few words what a file that is no supported picture looks like."""
    if not head.strip(b"\0"):
        return "nothing but zero bytes" if head else "an empty file (0 bytes)"
    if head[4:8] == b"ftyp":
        return "an AVIF picture" if head[8:12] in (b"avif", b"avis") else _iso_media(head[8:12])
    for magic, name in _OTHERS:
        if head.startswith(magic):
            return name
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    for magic, name in _TEXTS:
        if start.startswith(magic):
            return name
    return "text" if _is_text(head) else "data of no known kind"


def _iso_media(brand: bytes) -> str:
    return "a HEIC picture" if brand in (b"heic", b"heix", b"mif1", b"msf1", b"hevc") else "a video"


def _is_text(head: bytes) -> bool:
    try:
        # The head may end inside a character: up to three trailing bytes are not judged.
        text = head.decode() if len(head) < HEAD_BYTES else head[:-3].decode(errors="strict")
    except UnicodeDecodeError as error:
        return error.start >= len(head) - 7 and error.start > 0
    return all(character.isprintable() or character.isspace() for character in text)
