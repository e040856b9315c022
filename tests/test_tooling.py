"""Promises that the repository keeps as a whole: what is packaged, what is declared, what is tracked."""

import ast
import re
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src" / "napari_asmil"

# declared, yet never imported by name
WORKS_UNSEEN = {
    "bermuda": "napari triangulates polygons with it when it is there",
    "magicgui": "the widgets of napari around our docks are made of it",
    "imagecodecs": "tifffile decodes JPEG and JPEG 2000 tiles with it",
    "openslide-bin": "the library that openslide-python loads",
    "pyqt6": "the binding that qtpy finds",
    "pyside6": "the binding that qtpy finds",
    "timm": "asked for by name, when an encoder of it is wanted",
    "transformers": "asked for by name, when an encoder of it is wanted",
}


def canonical(distribution: str) -> str:
    return re.sub(r"[-_.]+", "-", distribution).lower()


def requirement_names(requirements: list[str]) -> set[str]:
    return {canonical(re.match(r"[A-Za-z0-9._-]+", requirement).group()) for requirement in requirements}


@pytest.fixture(scope="module")
def declared() -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = (names for extra, names in project["optional-dependencies"].items() if extra not in {"test", "dev"})
    return requirement_names(project["dependencies"]).union(*map(requirement_names, extras))


@pytest.fixture(scope="module")
def imported() -> dict[str, set[str]]:
    """Every third-party top-level name that the package imports, with the modules that import it."""
    found: dict[str, set[str]] = {}
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module]
            else:
                continue
            for name in {name.partition(".")[0] for name in names} - sys.stdlib_module_names - {PACKAGE.name}:
                found.setdefault(name, set()).add(str(path.relative_to(ROOT)))
    return found


def test_every_package_that_is_imported_is_declared(declared, imported):
    distributions = packages_distributions()
    undeclared = {
        name: sorted(modules)
        for name, modules in imported.items()
        if declared.isdisjoint(map(canonical, distributions.get(name, [name])))
    }
    assert undeclared == {}


def test_every_package_that_is_declared_is_imported_or_works_unseen(declared, imported):
    distributions = packages_distributions()
    used = {canonical(name) for top in imported for name in distributions.get(top, [top])}
    assert declared - used == WORKS_UNSEEN.keys()


def test_the_manifest_at_the_top_is_the_one_in_the_package():
    assert (ROOT / "napari.yaml").readlink() == Path("src/napari_asmil/napari.yaml")
    assert (PACKAGE / "napari.yaml").is_file()


def test_the_wheel_holds_the_manifest_the_type_marker_and_every_module(tmp_path):
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if name.startswith("napari_asmil/")}
    modules = {path.relative_to(PACKAGE.parent).as_posix() for path in PACKAGE.rglob("*.py")}
    assert packed >= modules | {"napari_asmil/napari.yaml", "napari_asmil/py.typed"}


@pytest.mark.parametrize("page", ["README.md", "CHANGELOG.md", *(f"docs/{p.name}" for p in ROOT.glob("docs/*.md"))])
def test_every_link_within_the_repository_leads_somewhere(page):
    text = (ROOT / page).read_text()
    links = re.findall(r"\]\(([^)\s]+)\)|(?:src|srcset|href)=\"([^\"]+)\"", text)
    targets = {(markdown or html).partition("#")[0] for markdown, html in links}
    inner = {target for target in targets if target and not target.startswith(("http:", "https:"))}
    assert {target for target in inner if not (ROOT / page).parent.joinpath(target).exists()} == set()


@pytest.fixture(scope="module")
def tracked() -> list[Path]:
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return [ROOT / name for name in listing.split("\0") if name and (ROOT / name).is_file()]


def test_no_tracked_file_is_larger_than_1_mib(tracked):
    assert [str(path) for path in tracked if path.stat().st_size > 2**20] == []


def test_no_tracked_file_names_a_folder_of_somebodys_machine(tracked):
    # a path in the root of a file system, put together here so that this file does not hold one
    folders = "|".join(["home", "root", "work", "opt", "Users", "tmp", "var/tmp", "mnt"])
    of_a_machine = re.compile(rf"(?<![\w.~$}}\])-])/(?:{folders})/\w")
    texts = ((path, path.read_text(errors="ignore")) for path in tracked if path.suffix not in {".png", ".gif"})
    found = [
        f"{path.relative_to(ROOT)}: {match.group()}" for path, text in texts for match in of_a_machine.finditer(text)
    ]
    assert found == []
