"""What a group of contours is taken for: tumour, cut out of it, or neither."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal, get_args

from napari_asmil.errors import InputError

Role = Literal["tumour", "exclude", "ignore", "undecided"]
"""What a group counts as; of an undecided one nobody has said yet."""
ROLES: tuple[Role, ...] = get_args(Role)[:3]
"""Those that a person may choose."""

TUMOUR = frozenset(
    {
        "tumor",
        "tumors",
        "tumour",
        "tumours",
        "metastasis",
        "metastases",
        "cancer",
        "carcinoma",
        "malignant",
        "lesion",
        "lesions",
        "positive",
        "_0",
        "_1",
    }
)
"""Group names that mean tumour (CAMELYON16 ``_0`` and ``_1``, CAMELYON17 ``metastases``, QuPath ``Tumor``)."""

EXCLUSION = frozenset({"exclusion", "exclusions", "hole", "normal", "negative", "benign", "none", "_2"})
"""Group names cut out of the tumour (CAMELYON16 ``_2``, ASAP ``Exclusion`` and ``None``, CAMELYON17 ``normal``)."""

NEITHER = frozenset({"stroma", "necrosis", "immune cells", "other", "tissue"})
"""Group names that are no tumour and are cut out of none (classes of QuPath, and the tissue that is outlined here)."""

UNGROUPED = "none"
"""ASAP's name for contours of no group; where there are no others, they say nothing of what they are."""


def shown(group: str) -> str:
    """How a group is called in sentences."""
    return group or "(no group)"


def role_of_name(group: str) -> Role | None:
    """What a name alone says, None when nothing; a class that QuPath derives ("Tumor: Necrosis") is its base class.

    Classes whose names end with ``*`` ("Ignore*", "Region*") are those that QuPath leaves out of measurements.
    """
    name = group.split(":")[0].strip().lower()
    if group.rstrip().endswith("*") or name in NEITHER:
        return "ignore"
    return "tumour" if name in TUMOUR else "exclude" if name in EXCLUSION else None


def derive(
    groups: Iterable[str], known: Mapping[str, Role] | None = None, chosen: Mapping[str, Role] | None = None
) -> dict[str, Role]:
    """The role of every group.

    What was chosen counts most, then what the file says, then the name. Where nothing that is drawn has a group, all
    of it is tumour. Beside tumour, a group of which nothing is known is ignored; without any tumour it is undecided.

    Parameters
    ----------
    groups : iterable of str
        In their order.
    known, chosen : mapping of group to role
        What the file itself says, and what a person said.
    """
    names = list(groups)
    said: dict[str, Role] = {**(known or {}), **(chosen or {})}
    found: dict[str, Role | None] = {name: said.get(name) or role_of_name(name) for name in names}
    if len(names) == 1 and names[0] not in said and names[0].lower() in ("", UNGROUPED):
        return {names[0]: "tumour"}
    other: Role = "ignore" if "tumour" in found.values() else "undecided"
    return {name: role or other for name, role in found.items()}


def parse_roles(given: Iterable[str]) -> dict[str, Role]:
    """Roles as they are given on a command line: ``GROUP=tumour``, ``GROUP=exclude``, ``GROUP=ignore``.

    Raises
    ------
    InputError
        When one is not of this form, or a group is given two roles.
    """
    roles: dict[str, Role] = {}
    for text in given:
        group, equals, name = text.rpartition("=")
        role = next((role for role in ROLES if role == name.strip().lower()), None)
        if not equals or role is None:
            raise InputError(
                f"{text!r} is no role of a group.", remedy=f"Write GROUP=ROLE, where ROLE is {', '.join(ROLES)}."
            )
        if roles.get(group, role) != role:
            raise InputError(f"The group {shown(group)} is given two roles.", remedy="Give one.")
        roles[group] = role
    return roles
