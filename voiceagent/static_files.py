"""Which files of our packages are served, and how they are compressed."""

import gzip
import zlib
from pathlib import Path
from typing import Any, Final

from django.contrib.staticfiles.apps import StaticFilesConfig
from servestatic import compress
from servestatic.storage import CompressedManifestStaticFilesStorage

SMALL_BYTES: Final = 100_000


class StaticFiles(StaticFilesConfig):
    """Leave out the second documentation browser of the sidecar, which is half of its nine megabytes."""

    ignore_patterns = [*StaticFilesConfig.ignore_patterns, "drf_spectacular_sidecar/redoc/*"]


class Compressor(compress.Compressor):  # type: ignore[misc]  # the package is untyped
    """Compress a file once: set-up runs before every start, and Brotli at its best takes seconds."""

    def compress(self, path: Any) -> list[str]:
        if compress.brotli is None:  # on a platform for which there is no such package; gzip is served then
            return self.compress_anew(path)
        data = Path(path).read_bytes()
        done = [f"{path}{suffix}" for suffix in (".br", ".gz") if unpack(Path(f"{path}{suffix}")) == data]
        return done if len(done) == 2 else self.compress_anew(path)

    def compress_anew(self, path: Any) -> list[str]:
        names: list[str] = super().compress(path)
        return names

    @staticmethod
    def compress_brotli(data: bytes) -> bytes:
        """Compress well what is small, and the few large files (Swagger UI) quickly."""
        packed: bytes = compress.brotli.compress(data, quality=11 if len(data) <= SMALL_BYTES else 5)
        return packed


class SiteFiles(CompressedManifestStaticFilesStorage):  # type: ignore[misc]  # the package is untyped
    """Names with a hash in them, to be kept for ever, and each file as Brotli and gzip beside it."""

    def create_compressor(self, **kwargs: Any) -> Compressor:
        return Compressor(**kwargs)


def unpack(file: Path) -> bytes | None:
    """Return what is in a compressed file; None when there is none, or only part of one."""
    try:
        packed = file.read_bytes()
        unpacked: bytes = compress.brotli.decompress(packed) if file.suffix == ".br" else gzip.decompress(packed)
    except (OSError, EOFError, zlib.error, compress.brotli.error):
        return None
    return unpacked
