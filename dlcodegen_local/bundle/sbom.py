"""The bill of materials: CycloneDX 1.6 as JSON.

Guarantees a component for every wheel, model and sample of a bundle, with licence and sha256, one for every
native library that a wheel carries along, and which package depends on which. Written by hand: a library for
it would be one more thing to vouch for.
"""

import json
import re
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from dlcodegen_local.bundle.licences import Licence, licence_of
from dlcodegen_local.bundle.wheels import TOOL, Choice, Wheel, open_wheel

SPEC_VERSION = "1.6"
_LIBRARY = re.compile(r"(?P<name>lib[A-Za-z0-9_+]+)(?:-[0-9a-f]{8})?\.so(?:\.(?P<version>[0-9.]+))?$")
_RUNTIME = "GPL-3.0-or-later WITH GCC-exception-3.1"
_LICENCES = {
    "libgcc_s": _RUNTIME,
    "libgfortran": _RUNTIME,
    "libgomp": _RUNTIME,
    "libquadmath": "LGPL-2.1-or-later",
    "libscipy_openblas64_": "BSD-3-Clause",
    "libstdc++": _RUNTIME,
}
_NAMESPACE = uuid.UUID("6f0d4a4e-0f36-4b0b-8f7c-0b2c5f3b6a11")


@dataclass(frozen=True)
class Part:
    """Hold a component that is no package: `kind` is one of CycloneDX's types."""

    kind: str
    name: str
    licence: Licence
    sha256: str
    description: str


def write_sbom(choice: Choice, digests: dict[str, str], parts: Sequence[Part], created: str) -> bytes:
    """Return the document; `digests` has each wheel's sha256 by package, `created` is ISO 8601 in UTC."""
    packages = [_package(wheel, digests[name]) for name, wheel in choice.wheels.items()]
    components = [component for component in packages if component["name"] != TOOL]
    components += [_part(part) for part in parts]
    (tool,) = (component for component in packages if component["name"] == TOOL)
    document = {
        "$schema": f"http://cyclonedx.org/schema/bom-{SPEC_VERSION}.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": SPEC_VERSION,
        "version": 1,
        "metadata": {
            "timestamp": created,
            "lifecycles": [{"phase": "build"}],
            "component": {**tool, "type": "application"},
        },
        "components": sorted(components, key=lambda component: str(component["bom-ref"])),
        "dependencies": list(_dependencies(choice, parts)),
    }
    serial = uuid.uuid5(_NAMESPACE, json.dumps(document, sort_keys=True))
    document["serialNumber"] = f"urn:uuid:{serial}"
    return json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False).encode()


def _package(wheel: Wheel, sha256: str) -> dict[str, Any]:
    metadata = wheel.metadata
    component: dict[str, Any] = {
        "type": "library",
        "bom-ref": _purl(wheel),
        "name": wheel.name,
        "version": str(wheel.version),
        "purl": _purl(wheel),
        "hashes": [{"alg": "SHA-256", "content": sha256}],
        "licenses": licence_of(wheel).to_cyclonedx(),
        "properties": [{"name": "dlcodegen:file", "value": f"wheels/{wheel.path.name}"}],
    }
    if summary := str(metadata.get("Summary") or ""):
        component["description"] = " ".join(summary.split())
    if author := " ".join(str(metadata.get("Author") or metadata.get("Author-email") or "").split()):
        component["supplier"] = {"name": author}
    if libraries := _native_libraries(wheel):
        component["components"] = libraries
    return component


def _native_libraries(wheel: Wheel) -> list[dict[str, Any]]:
    """Return the shared libraries of others that a wheel brings in its `.libs` folder."""
    with open_wheel(wheel.path) as archive:
        members = sorted(name for name in archive.namelist() if ".libs/" in name)
    found = {}
    for member in members:
        if match := _LIBRARY.search(member):
            reference = f"{_purl(wheel)}#{quote(member)}"
            component: dict[str, Any] = {"type": "library", "bom-ref": reference, "name": match["name"]}
            if match["version"]:
                component["version"] = match["version"]
            if licence := _LICENCES.get(match["name"]):
                component["licenses"] = Licence(licence, True).to_cyclonedx()
            found[reference] = component
    return [found[reference] for reference in sorted(found)]


def _part(part: Part) -> dict[str, Any]:
    return {
        "type": part.kind,
        "bom-ref": _reference(part),
        "name": part.name,
        "description": part.description,
        "hashes": [{"alg": "SHA-256", "content": part.sha256}],
        "licenses": part.licence.to_cyclonedx(),
    }


def _dependencies(choice: Choice, parts: Sequence[Part]) -> Iterator[dict[str, Any]]:
    for name, wheel in choice.wheels.items():
        required = {_purl(choice.wheels[other]) for other in choice.requires[name]} - {_purl(wheel)}
        if name == TOOL:
            required |= {_reference(part) for part in parts}
        yield {"ref": _purl(wheel), "dependsOn": sorted(required)}


def _purl(wheel: Wheel) -> str:
    return f"pkg:pypi/{wheel.name}@{quote(str(wheel.version), safe='.')}"


def _reference(part: Part) -> str:
    return f"{part.kind}:{quote(part.name)}"
