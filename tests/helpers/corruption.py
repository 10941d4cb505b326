"""Ways to corrupt a file; each takes its path."""

from pathlib import Path


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def not_idx(path: Path) -> None:
    path.write_bytes(b"<!DOCTYPE html><html>not found</html>")


def huge_header(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:4] + b"\xff" * 12 + path.read_bytes()[16:])


def float_type(path: Path) -> None:
    path.write_bytes(b"\x00\x00\x0d" + path.read_bytes()[3:])


def signed_type(path: Path) -> None:
    path.write_bytes(b"\x00\x00\x09" + path.read_bytes()[3:])


def unknown_type(path: Path) -> None:
    path.write_bytes(b"\x00\x00\x0a" + path.read_bytes()[3:])


def long(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\x00")
