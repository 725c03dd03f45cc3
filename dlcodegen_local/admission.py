"""What may be loaded: a model whose files are those of its manifest, and what the policies in force allow.

Asked by `engines` before every load. Guarantees that a bundled or an imported model that differs from its
manifest is refused before a native parser sees it, within what `hash_cache` can see.
"""

from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from dlcodegen_local import policy
from dlcodegen_local.artifacts import MANIFEST_FILE, Manifest, read_manifest
from dlcodegen_local.config import Paths, find_paths, find_policy_files
from dlcodegen_local.hash_cache import known_sha256

if TYPE_CHECKING:
    from dlcodegen_local.config import PoolPlace
    from dlcodegen_local.retrieval.pools import Pool


def model_roots(paths: Paths) -> tuple[Path, Path]:
    """Return the folders of the bundled models and of the imported ones."""
    return paths.models, paths.data / "models"


def admit_code_model(path: Path) -> str:
    """Check a GGUF file that is about to be loaded, and return its sha256.

    Raises:
        ArtifactError: it is missing, or not what its manifest says.
        ConfigError: a policy refuses it.
    """
    paths = find_paths()
    manifest = _manifest_beside(path, paths)
    hash_of = partial(known_sha256, cache=paths.cache)
    if manifest is not None:
        manifest.check_files(hash_of)
    sha256 = hash_of(path)
    if policies := policy.read_policies(find_policy_files(paths)):
        licences = []
        if policy.has_licence_rule(policies):
            from dlcodegen_local.generation.gguf_header import read_header

            licences = stated_licences(read_header(path).metadata.get("general.license"), manifest)
        policy.check_model(policies, str(path), sha256, licences)
    return sha256


def admit_planner(folder: Path) -> None:
    """Check a planner folder that is about to be loaded; its files are hashed when they are read.

    Raises:
        ArtifactError: its manifest is missing or damaged.
        ConfigError: a policy refuses it.
    """
    if policies := policy.read_policies(find_policy_files(find_paths())):
        manifest = read_manifest(folder)
        policy.check_model(policies, str(folder), manifest.sha256, stated_licences(None, manifest))


def admit_pool(place: "PoolPlace", pool: "Pool") -> None:
    """Check an opened pool.

    Raises:
        ConfigError: a policy refuses the pool, or the licence of a sample in it.
    """
    if policies := policy.read_policies(find_policy_files(find_paths())):
        policy.check_pool(policies, place.name, place.folder)
        policy.check_samples(policies, place.name, lambda: _licences_of(pool, place.folder))


def admit_run(*, unsafe: bool = False) -> None:
    """Check whether generated code may be run, in a sandbox or (`unsafe`) without.

    Raises:
        ConfigError: a policy refuses it.
    """
    policy.check_run(policy.read_policies(find_policy_files(find_paths())), unsafe=unsafe)


def policy_in_force() -> str:
    """Say in one line what the policies in force allow.

    Raises:
        ConfigError: one cannot be read.
    """
    return policy.describe(policy.read_policies(find_policy_files(find_paths())))


def stated_licences(in_file: object, manifest: Manifest | None) -> list[str]:
    """Return every licence that a model's file and its manifest state; a policy has to allow each."""
    stated = [in_file] if isinstance(in_file, str) else []
    if manifest is not None and manifest.licence != policy.NOT_STATED:
        stated.append(manifest.licence)
    return list(dict.fromkeys(licence for licence in stated if licence))


def _manifest_beside(path: Path, paths: Paths) -> Manifest | None:
    """Return the manifest of a bundled or imported model; another folder's is not ours to judge by."""
    folder = path.parent.resolve()
    roots = [root.resolve() for root in model_roots(paths)]
    return read_manifest(folder) if folder.parent in roots and (folder / MANIFEST_FILE).exists() else None


def _licences_of(pool: "Pool", folder: Path) -> Iterable[str]:
    from dlcodegen_local.retrieval.samples import read_record, record_paths
    from dlcodegen_local.retrieval.team_pool import TeamPool

    if isinstance(pool, TeamPool):
        return [str(row["licence"]) for row in pool.rows("SELECT DISTINCT licence FROM samples")]
    return [read_record(path).licence for path in record_paths(folder)]
