"""Roles of groups: where they come from, how they are changed, and what follows."""

import numpy as np
import pytest

from napari_asmil.annotations import Contour, Contours, parse_roles
from napari_asmil.errors import InputError
from napari_asmil.geometry import TileGrid


def square(x, y, side, group):
    return Contour("", group, np.array([[x, y], [x + side, y], [x + side, y + side], [x, y + side]], float))


@pytest.mark.parametrize(
    ("groups", "roles"),
    [
        (["Tumor", "Exclusion", "Stroma"], ["tumour", "exclude", "ignore"]),
        (["Tumor: Necrosis", "Stroma"], ["tumour", "ignore"]),
        (["weird"], ["undecided"]),
        ([""], ["tumour"]),
        (["", "weird"], ["undecided", "undecided"]),
        (["Stroma"], ["ignore"]),
        (["Stroma", "weird"], ["ignore", "undecided"]),
        (["Necrosis", "Immune cells", "Other", "tissue"], ["ignore"] * 4),
        (["Ignore*"], ["ignore"]),
        (["Region*", "Tumor: Ignore*", "anything*"], ["ignore"] * 3),
        (["None"], ["tumour"]),
        (["normal"], ["exclude"]),
        (["A", "B"], ["undecided", "undecided"]),
        (["A", "normal"], ["undecided", "exclude"]),
        ([], []),
    ],
)
def test_names_say_what_groups_are_as_far_as_they_do(groups, roles):
    assert Contours([square(0, 0, 9, name) for name in groups]).roles == dict(zip(groups, roles, strict=True))


def test_a_role_that_is_chosen_counts_more_than_the_name_and_the_shares_follow():
    contours = Contours([square(0, 0, 100, "Tumor"), square(0, 0, 50, "Exclusion"), square(100, 0, 100, "Stroma")])
    grid = TileGrid([[0, 0], [100, 0]], 100)
    np.testing.assert_allclose(contours.tile_share(grid), [0.75, 0])
    changed = contours.with_roles({"Exclusion": "ignore", "Stroma": "tumour"})
    np.testing.assert_allclose(changed.tile_share(grid), [1, 1])
    np.testing.assert_allclose(contours.tile_share(grid), [0.75, 0])
    assert "roles as they were chosen: Exclusion = ignore, Stroma = tumour" in changed.describe()
    assert "tumour: Stroma, Tumor" in changed.describe()
    assert "ignored: Exclusion" in changed.describe()


def test_contours_without_a_group_are_called_so_where_they_are_ignored():
    squares = [square(0, 0, 9, "Tumor"), square(20, 0, 5, "Necrosis"), square(40, 0, 5, "")]
    assert "ignored: Necrosis and contours without a group" in Contours(squares).describe()
    assert "ignored: contours without a group" in Contours([squares[0], squares[2]]).describe()


def test_of_several_unknown_groups_one_that_is_chosen_decides_the_others():
    contours = Contours([square(0, 0, 9, "A"), square(20, 0, 5, "B"), square(0, 0, 3, "")])
    with pytest.raises(InputError, match=r"A, B, \(no group\).*--role GROUP=tumour"):
        contours.tumour()
    assert contours.with_roles({"A": "tumour"}).roles == {"A": "tumour", "B": "ignore", "": "ignore"}
    assert contours.with_roles({"A": "tumour", "": "exclude"}).tumour().area == 81 - 9


def test_where_every_group_is_decided_there_may_be_no_tumour():
    contours = Contours([square(0, 0, 9, "A"), square(20, 0, 5, "B")])
    assert contours.with_roles({"A": "ignore"}).roles["B"] == "undecided"
    assert contours.with_roles({"A": "ignore", "B": "exclude"}).tumour().is_empty
    assert Contours([square(0, 0, 9, "A")]).with_roles({"A": "ignore"}).tumour().is_empty


@pytest.mark.parametrize("group", ["Stroma", "Necrosis", "Immune cells", "Ignore*", "weird"])
def test_a_group_counts_the_same_alone_as_beside_tumour_or_is_asked_for(group):
    beside = Contours([square(0, 0, 9, "Tumor"), square(20, 0, 5, group)])
    alone = Contours([square(20, 0, 5, group)])
    assert beside.tumour().area == 81
    if alone.roles[group] == "undecided":
        with pytest.raises(InputError, match=r"weird\. Say which one is, as with --role GROUP=tumour"):
            alone.tumour()
        assert any(line.startswith("tumour: unknown.") for line in alone.describe())
    else:
        assert alone.tumour().is_empty
        assert {"tumour: none", f"ignored: {group}"} <= set(alone.describe())
    assert alone.with_roles({group: "tumour"}).tumour().area == 25


def test_what_is_chosen_later_leaves_earlier_choices():
    contours = Contours([square(0, 0, 9, "A"), square(20, 0, 5, "B")])
    assert contours.with_roles({"A": "tumour"}).with_roles({"B": "exclude"}).roles == {"A": "tumour", "B": "exclude"}
    assert contours.with_roles({"A": "tumour"}).with_roles({"A": "ignore"}).chosen == {"A": "ignore"}


def test_a_role_for_a_group_that_is_not_there_is_refused_with_the_groups():
    with pytest.raises(InputError, match=r"no group of contours called tumor.*Tumor, \(no group\)"):
        Contours([square(0, 0, 9, "Tumor"), square(0, 0, 9, "")]).with_roles({"tumor": "tumour"})


def test_every_segment_has_the_role_of_its_group():
    contours = Contours([square(0, 0, 9, "Exclusion"), square(0, 0, 9, "Tumor")])
    assert contours.segment_roles().tolist() == ["exclude"] * 4 + ["tumour"] * 4
    assert len(contours.segments()) == 8
    assert Contours([]).segment_roles().tolist() == []


def test_roles_are_read_from_words():
    assert parse_roles(["Tumor=tumour", "a = b=Exclude", "=ignore"]) == {
        "Tumor": "tumour",
        "a = b": "exclude",
        "": "ignore",
    }


@pytest.mark.parametrize("text", ["Tumor", "Tumor=tumor", "A=undecided"])
def test_words_that_are_no_role_are_refused_with_those_that_are(text):
    with pytest.raises(InputError, match="GROUP=ROLE, where ROLE is tumour, exclude, ignore"):
        parse_roles([text])


def test_one_group_has_one_role():
    with pytest.raises(InputError, match="A is given two roles"):
        parse_roles(["A=tumour", "A=ignore"])
