"""Bundles in archives and folders: paths that leave, links, devices, bombs, lying sizes, cuts, bit flips."""

import gzip
import hashlib
import io
import json
import random
import tarfile
import zlib
from pathlib import Path

from dlcodegen_local.bundle.installation import copy_files
from dlcodegen_local.bundle.verification import OpenBundle
from tests.fuzz.kinds import Case, write_case
from tests.fuzz.mutations import damage_json

_LINKS = "links.json"
_FILES = {
    "README.md": b"# a bundle\n",
    "docs/long.md": b"word " * 3000,
    "licences/INDEX.tsv": b"component\n",
    "wheels/a-1.0-py3-none-any.whl": bytes(range(256)) * 8,
}
_HOSTILE_NAMES = (
    "/outside",
    "../outside",
    "docs/../../outside",
    "../../outside",
    "docs\\..\\outside",
    "C:\\outside",
    "//outside",
    "docs/./x",
    "~/outside",
    "docs/" + "x" * 90,
    "a\nb",
    "\u202egnp.exe",
    "manifest.json",
    "README.md/x",
    "readme.MD",
    "nul\x00byte",
    "outside",
    "",
    ".",
)
_TYPES = (b"1", b"2", b"3", b"4", b"5", b"6", b"7", b"L", b"K", b"S", b"x", b"g", b"V", b"M", b"\xff")
_BOMB_BYTES = 200 << 20
_OLD_BYTES = 512


def make(rng: random.Random) -> Case:
    """Return a small bundle that is damaged in one way, or rarely in none."""
    way = rng.choice(_WAYS)
    return way(rng)


def run(case: Case, folder: Path) -> None:
    """Check and copy the bundle, as `bundle verify` and `bundle install` do."""
    links = json.loads(case.get(_LINKS, b"{}"))
    write_case({name: content for name, content in case.items() if name != _LINKS}, folder)
    for name, target in links.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).symlink_to(target.replace("PARENT", str(folder.parent)))
    names = [name for name in ("b.tar", "b.tar.gz", "b.tar.001", "b") if (folder / name).exists()]
    copy_files(OpenBundle(folder / names[0]), folder / "staging")


def _manifest(files: dict[str, bytes]) -> bytes:
    rows = [
        {"path": path, "size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        for path, content in files.items()
    ]
    facts = {"format": 1, "version": "1", "platform": "manylinux_2_5_x86_64", "python": "3.11"}
    return json.dumps({**facts, "files": rows}).encode()


def _members(files: dict[str, bytes] | None = None) -> list[tuple[tarfile.TarInfo, bytes]]:
    files = files or _FILES
    rows = []
    for path, content in (("manifest.json", _manifest(files)), *files.items()):
        info = tarfile.TarInfo(path)
        info.size = len(content)
        rows.append((info, content))
    return rows


def _packed(rows: list[tuple[tarfile.TarInfo, bytes]]) -> bytes:
    blocks = []
    for info, content in rows:
        blocks += [info.tobuf(tarfile.GNU_FORMAT), content, bytes(-len(content) % 512)]
    return b"".join([*blocks, bytes(1024)])


def _case(content: bytes, rng: random.Random) -> Case:
    if rng.random() < 0.3:
        return {"b.tar.gz": gzip.compress(content, mtime=0)}
    return {"b.tar": content}


def _sound(rng: random.Random) -> Case:
    return _case(_packed(_members()), rng)


def _renamed(rng: random.Random) -> Case:
    """Give a member a hostile name, in its header alone or in the manifest, too."""
    name = rng.choice(_HOSTILE_NAMES)
    rows = _members({**_FILES, name: b"hostile"}) if rng.random() < 0.5 else _members()
    if rng.random() < 0.7:
        rng.choice(rows)[0].name = name
    return _case(_packed(rows), rng)


def _retyped(rng: random.Random) -> Case:
    """Make a member a link, a device or what else there is."""
    rows = _members()
    info = rng.choice(rows)[0]
    info.type = rng.choice(_TYPES)
    info.linkname = rng.choice(("/etc/passwd", "../outside", "README.md", "", "x" * 99))
    info.devmajor, info.devminor = rng.randrange(8), rng.randrange(8)
    if rng.random() < 0.5:
        info.size = 0
    return _case(_packed(rows), rng)


def _linked(rng: random.Random) -> Case:
    """Put a link to the outside before a file that goes through it."""
    rows = _members({"escape/outside": b"hostile", **_FILES})
    link = tarfile.TarInfo("escape")
    link.type, link.linkname = (
        rng.choice((tarfile.SYMTYPE, tarfile.LNKTYPE)),
        rng.choice(("..", "/", "../..")),
    )
    rows.insert(rng.randrange(2), (link, b""))
    return _case(_packed(rows), rng)


def _extended(rng: random.Random) -> Case:
    """Write a real pax or GNU header that renames or resizes what follows."""
    stream = io.BytesIO()
    kind = rng.choice((tarfile.PAX_FORMAT, tarfile.GNU_FORMAT))
    with tarfile.open(fileobj=stream, mode="w", format=kind) as target:
        for info, content in _members():
            if rng.random() < 0.4:
                headers = {
                    "path": rng.choice(("../outside", "/outside")),
                    "size": "-1",
                    "GNU.sparse.size": "9" * 18,
                }
                info.pax_headers = {key: headers[key] for key in rng.sample(sorted(headers), 1)}
            if rng.random() < 0.2:
                info.name = f"docs/{'x' * 150}"
            target.addfile(info, io.BytesIO(content))
    return _case(stream.getvalue(), rng)


def _resized(rng: random.Random) -> Case:
    """Let a header claim another size, or the manifest, or both."""
    rows = _members()
    info, content = rng.choice(rows)
    size = rng.choice((0, 1, len(content) + 1, 1 << 20, 8 << 30, (1 << 42) - 1, 1 << 62, 0o77777777777))
    if rng.random() < 0.5:
        table = json.loads(rows[0][1])
        rng.choice(table["files"])["size"] = size
        text = json.dumps(table).encode()
        rows[0][0].size = len(text)
        rows[0] = (rows[0][0], text)
    else:
        info.size = size
    return _case(_packed(rows), rng)


def _flipped(rng: random.Random) -> Case:
    """Flip bits, in headers more often than elsewhere; sometimes with the checksums put right."""
    content = bytearray(_packed(_members()))
    for _ in range(rng.choice((1, 1, 3, 30))):
        place = rng.choice(
            (rng.randrange(len(content)), rng.randrange(512), 512 * rng.randrange(8) + rng.randrange(512))
        )
        content[place] = rng.randrange(256)
    if rng.random() < 0.5:
        content[148:156] = b" " * 8
        content[148:156] = b"%06o\0 " % sum(content[:512])
    return _case(bytes(content), rng)


def _cut(rng: random.Random) -> Case:
    """Cut the archive, or the packed one, or let something follow."""
    content = _packed(_members())
    if rng.random() < 0.5:
        packed = gzip.compress(content, mtime=0)
        return {"b.tar.gz": packed[: rng.randrange(len(packed))]}
    if rng.random() < 0.3:
        return _case(content + rng.choice((b"x", content, bytes(100_000), rng.randbytes(600))), rng)
    return {"b.tar": content[: rng.randrange(len(content))]}


def _rearranged(rng: random.Random) -> Case:
    """Leave members out, repeat them, change their order."""
    rows = _members()
    rows = rng.choices(rows, k=rng.randrange(8)) if rng.random() < 0.5 else rng.sample(rows, len(rows))
    return _case(_packed(rows), rng)


def _repacked(rng: random.Random) -> Case:
    """Damage the gzip stream: its header, a second stream, an endless name."""
    content = gzip.compress(_packed(_members()), mtime=0)
    ways = (
        content + content,
        content + rng.randbytes(40),
        content[:3] + b"\x08" + content[4:10] + b"n" * (4 << 20) + content[10:],
        b"\x1f\x8b" + rng.randbytes(4000),
        content[:-8] + rng.randbytes(8),
    )
    return {"b.tar.gz": rng.choice(ways)}


def _bomb(rng: random.Random) -> Case:
    """Pack zeros that are a thousand times as long, as a file or as an archive in the archive's place."""
    size = rng.choice((_BOMB_BYTES, 1 << 24))
    row = {"path": "zeros", "size": size, "sha256": hashlib.sha256(b"").hexdigest()}
    facts = {"format": 1, "version": "1", "platform": "any", "python": "3.11"}
    text = json.dumps({**facts, "files": [row]}).encode()
    manifest, zeros = tarfile.TarInfo("manifest.json"), tarfile.TarInfo("zeros")
    manifest.size, zeros.size = len(text), size
    if rng.random() < 0.3:
        manifest.size = size
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    pieces = [packer.compress(manifest.tobuf() + text + bytes(-len(text) % 512) + zeros.tobuf())]
    pieces += [packer.compress(bytes(1 << 20)) for _ in range(size >> 20)]
    packed = b"".join([*pieces, packer.flush()])
    return {"b.tar.gz": gzip.compress(packed) if rng.random() < 0.2 else packed}


def _unpacked(rng: random.Random) -> Case:
    """Write what is no archive at all."""
    return {
        rng.choice(("b.tar", "b.tar.gz")): rng.choice(
            (b"", b"\0" * 10240, b"PK\3\4" * 99, rng.randbytes(9000))
        )
    }


def _relabelled(rng: random.Random) -> Case:
    """Damage the manifest's JSON."""
    rows = _members()
    text = rows[0][1]
    for _ in range(rng.choice((1, 1, 2))):
        try:
            text = damage_json(text, rng)
        except (ValueError, RecursionError):  # it is no JSON any more
            break
    rows[0][0].size = len(text)
    return _case(_packed([(rows[0][0], text), *rows[1:]]), rng)


def _in_parts(rng: random.Random) -> Case:
    """Cut into parts, of which one may be missing, twice there, or changed."""
    content = _packed(_members())
    size = rng.choice((_OLD_BYTES, 1000, 4096))
    parts = [content[start : start + size] for start in range(0, len(content), size)]
    rng.choice((parts.pop, parts.reverse, lambda: parts.append(b""), lambda: None))()
    return {f"b.tar.{number:03}": part for number, part in enumerate(parts, start=1)}


def _in_a_folder(rng: random.Random) -> Case:
    """Lay the bundle out as a folder, with a link, a file too many, one too few or a changed one."""
    files = {f"b/{path}": content for path, content in _FILES.items()}
    case: Case = {"b/manifest.json": _manifest(_FILES), **files}
    name = rng.choice(sorted(files))
    way = rng.randrange(5)
    if way == 0:
        case.pop(name)
    elif way == 1:
        case["b/more/unknown.txt"] = b"?"
    elif way == 2:
        case[name] = case[name][:-1] + b"?"
    elif way == 3:
        case.pop(name)
        case[_LINKS] = json.dumps(
            {name: rng.choice(("PARENT/outside/none", "/dev/zero", f"PARENT/{name}"))}
        ).encode()
    else:
        linked = rng.choice(("b/more", "b/docs/more"))
        case[_LINKS] = json.dumps({linked: rng.choice(("PARENT/outside", "/dev/fd"))}).encode()
    return case


_WAYS = (
    *(_renamed, _renamed, _retyped, _retyped, _linked, _extended, _resized, _flipped, _flipped, _cut),
    *(_rearranged, _repacked, _bomb, _unpacked, _relabelled, _relabelled, _in_parts, _in_a_folder, _sound),
)
