"""Folders and files of many slides, written here from the descriptions of their layouts."""

import h5py
import numpy as np
import pytest
import tifffile

from napari_asmil import read_cohort
from napari_asmil.bags import holds_many, read_bags, write_bag
from napari_asmil.bags.mil_sets import read_mil_set
from napari_asmil.errors import InputError
from napari_asmil.info import describe
from tests.bags.collections import (
    COLLECTIONS,
    LABELS,
    XY,
    clam,
    dsmil,
    features,
    mil_set,
    one_file,
    save,
    tensor,
    torchmil,
)


def ids(cohort):
    return [bag.slide_id for bag in cohort.bags]


# --- folders ------------------------------------------------------------------------------------------------


def test_a_folder_may_mix_layouts_beside_files_of_other_kinds(tmp_path):
    clam(tmp_path / "b.h5", 1)
    tensor(tmp_path / "a.pt", 2)
    for name in ("labels.csv", "config.json", "log.txt", "thumbnail.png", ".hidden.h5"):
        (tmp_path / name).write_text("slide_id,label\na,1\nb,0\n")
    cohort = read_cohort(tmp_path, tmp_path / "labels.csv")
    assert ids(cohort) == ["a", "b"]
    assert np.array_equal(cohort.bags[0].features(), features(2))
    assert np.array_equal(cohort.bags[1].features(), features(1))


@pytest.mark.parametrize("name", ["c.h5", "c.hdf5", "c.pt", "c.npz"])
def test_a_damaged_feature_file_is_never_passed_over(tmp_path, name):
    clam(tmp_path / "a.h5")
    (tmp_path / name).write_bytes(b"damaged")
    with pytest.raises(InputError, match=rf"{name}: "):
        read_cohort(tmp_path)


def test_a_cut_off_file_is_named_and_not_passed_over(tmp_path):
    clam(tmp_path / "a.h5")
    clam(tmp_path / "b.h5")
    whole = (tmp_path / "b.h5").read_bytes()
    (tmp_path / "b.h5").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"b\.h5: "):
        read_cohort(tmp_path)


def test_two_files_of_one_slide_are_refused(tmp_path):
    clam(tmp_path / "a.h5")
    tensor(tmp_path / "a.pt")
    with pytest.raises(InputError, match=r"two feature files of slide a: a\.h5 and a\.pt\. Keep one"):
        read_cohort(tmp_path)


def test_of_clams_two_folders_the_one_with_coordinates_is_read(tmp_path):
    clam(tmp_path / "h5_files" / "a.h5")
    tensor(tmp_path / "pt_files" / "a.pt")
    cohort = read_cohort(tmp_path, tile_size=64)
    assert cohort.bags[0].source == tmp_path / "h5_files" / "a.h5"
    assert np.array_equal(cohort.bags[0].tiles.xy, XY)
    assert "features: from h5_files" in cohort.describe()


def test_of_tridents_job_the_only_folder_of_features_is_read(tmp_path, make_bag):
    folder = tmp_path / "20x_256px_0px_overlap" / "features_uni"
    folder.mkdir(parents=True)
    write_bag(folder / "a.h5", make_bag("a"))
    clam(tmp_path / "20x_256px_0px_overlap" / "slide_features_titan" / "a.h5")
    cohort = read_cohort(tmp_path)
    assert ids(cohort) == ["a"] and "features: from 20x_256px_0px_overlap/features_uni" in cohort.notes
    assert ids(read_cohort(tmp_path / "20x_256px_0px_overlap")) == ["a"]


def test_features_of_several_encoders_ask_which_is_meant(tmp_path, make_bag):
    for encoder in ("uni", "conch"):
        (tmp_path / "20x" / f"features_{encoder}").mkdir(parents=True)
        write_bag(tmp_path / "20x" / f"features_{encoder}" / "a.h5", make_bag("a"))
    with pytest.raises(InputError, match=r"several folders of features: 20x/features_conch, 20x/features_uni"):
        read_cohort(tmp_path)


def test_slideflows_companions_are_no_bags(tmp_path):
    tensor(tmp_path / "a.pt")
    np.savez(tmp_path / "a.index.npz", XY + 32)
    np.savez(tmp_path / "a_att.npz", np.ones(3))
    (tmp_path / "bags_config.json").write_text("{}")
    assert ids(read_cohort(tmp_path)) == ["a"]


def test_dsmils_dataset_has_a_folder_a_class(tmp_path):
    dsmil(tmp_path)
    cohort = read_cohort(tmp_path, tmp_path / "c16.csv")
    assert cohort.labels == {"a": 0, "b": 1}
    assert np.allclose(cohort.bags[1].features(), features(1), atol=1e-4)


def test_a_folder_of_pictures_or_of_nothing_holds_no_bags(tmp_path):
    assert not holds_many(tmp_path)
    tifffile.imwrite(tmp_path / "s.tif", np.zeros((64, 64, 3), np.uint8), photometric="rgb")
    (tmp_path / "labels.csv").write_text("slide_id,label\ns,1\n")
    assert not holds_many(tmp_path)
    with pytest.raises(InputError, match="no feature file in it"):
        read_cohort(tmp_path)


# --- torchmil -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", [".npy", ".h5"])
def test_a_torchmil_data_set_brings_labels_truth_and_splits(tmp_path, ending):
    cohort = read_cohort(torchmil(tmp_path, ending))
    assert ids(cohort) == list(LABELS) and cohort.labels == LABELS
    assert [bag.slide_id for bag in cohort.select("test")] == ["s3"]
    assert cohort.bags[1].tile_labels.tolist() == [0, 1, 0]
    assert np.array_equal(cohort.bags[2].features(), features(2))
    cohort.check()


def test_torchmils_tiles_are_placed_only_with_an_edge(tmp_path):
    torchmil(tmp_path)
    bag = read_cohort(tmp_path).bags[0]
    assert bag.tiles is None
    assert any("torchmil does not say of what pixels" in line for line in bag.derivation)
    bag = read_cohort(tmp_path, tile_size=64).bags[0]
    assert np.array_equal(bag.tiles.xy, XY) and bag.tiles.size == 64
    assert any("taken as level-0 px" in line for line in bag.derivation)


def test_torchmils_published_folders_are_found_from_each_of_them(tmp_path):
    torchmil(tmp_path / "patches_512", inner="features/features_UNI")
    (tmp_path / "patches_512" / "splits.csv").rename(tmp_path / "splits.csv")
    for path in ("", "patches_512", "patches_512/features", "patches_512/features/features_UNI"):
        cohort = read_cohort(tmp_path / path)
        assert (path, cohort.labels, len(cohort.select("test"))) == (path, LABELS, 1)
    for seed, name in enumerate(LABELS):
        save(tmp_path / "patches_512" / "features" / "features_resnet50", name, features(seed), ".npy")
    with pytest.raises(InputError, match=r"several folders of features: .*features_UNI, .*features_resnet50"):
        read_cohort(tmp_path)


def test_torchmils_splits_of_other_slides_are_told_and_not_used(tmp_path):
    torchmil(tmp_path)
    (tmp_path / "splits.csv").write_text("bag_name,split\ns0,train\ns9,test\n")
    cohort = read_cohort(tmp_path)
    assert cohort.splits == {}
    assert "splits.csv has no split for 3 slides (s1, s2, s3): it is not used" in cohort.describe()


@pytest.mark.parametrize(
    ("part", "values", "sentence"),
    [
        ("coords", XY[:2], "3 feature rows but 2 coordinates"),
        ("labels", np.array([0, 1]), "no one label but an array of shape"),
        ("labels", np.array(["tumour"]), r"labels, str192 of shape \(1,\), are no numbers"),
        ("features", np.ones(4), "one vector of 4 numbers"),
        ("features", np.array([{}, {}]), r"no array that can be read \(.*Python objects|no array that can be read"),
    ],
)
def test_a_torchmil_file_that_does_not_fit_is_named(tmp_path, part, values, sentence):
    torchmil(tmp_path)
    np.save(tmp_path / part / "s1.npy", values)
    with pytest.raises(InputError, match=rf"s1\.npy.*({sentence})"):
        read_cohort(tmp_path)


def test_tile_labels_that_are_no_zeros_and_ones_are_told_and_not_used(tmp_path):
    torchmil(tmp_path)
    np.save(tmp_path / "patch_labels" / "s1.npy", np.array([-1, 0, 1]))
    bag = read_cohort(tmp_path).bags[1]
    assert bag.tile_labels is None and any("not all 0 or 1" in line for line in bag.derivation)


def test_a_small_npy_file_that_declares_much_is_refused(tmp_path):
    torchmil(tmp_path)
    path = tmp_path / "features" / "s1.npy"
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": (10**7, 10**4)})
    with pytest.raises(InputError, match=r"s1\.npy: It is no array that can be read"):
        read_cohort(tmp_path)


# --- one file for all slides --------------------------------------------------------------------------------


@pytest.mark.parametrize("labels", [(0, 1, 0, 1), ("0", "1", "0", "1"), tuple(np.array([0, 1, 0, 1]))])
def test_one_file_holds_all_slides_and_their_labels(tmp_path, labels):
    cohort = read_cohort(one_file(tmp_path / "all.h5", labels))
    assert cohort.labels == LABELS and cohort.class_names == ("0", "1")
    for seed, bag in enumerate(cohort.bags):
        assert np.array_equal(bag.features(), features(seed).astype(np.float16).astype(np.float32))
    assert len({bag.content_hash() for bag in cohort.bags}) == 4
    cohort.check()


def test_one_file_says_no_tile_edge_so_it_is_asked_for(tmp_path):
    path = one_file(tmp_path / "all.h5")
    bag = read_cohort(path).bags[1]
    assert bag.tiles is None and any("does not say their edge" in line for line in bag.derivation)
    bag = read_cohort(path, tile_size=64).bags[1]
    assert np.array_equal(bag.tiles.xy, XY) and bag.tiles.size == 64


def test_one_file_is_put_on_slides_by_the_names_of_its_groups(tmp_path):
    path = one_file(tmp_path / "all.h5")
    (tmp_path / "slides").mkdir()
    for index in range(4):
        tifffile.imwrite(tmp_path / "slides" / f"s{index}.tif", np.zeros((64, 192, 3), np.uint8), photometric="rgb")
    bags = read_cohort(path, slides=tmp_path / "slides", tile_size=64, mpp=0.25).bags
    assert [(bag.slide_path.stem, bag.slide_size, bag.mpp) for bag in bags] == [
        (name, (192, 64), 0.25) for name in LABELS
    ]


def test_one_file_of_all_among_files_of_one_is_named(tmp_path):
    one_file(tmp_path / "all.h5")
    clam(tmp_path / "s0.h5")
    with pytest.raises(InputError, match=r"all\.h5: It holds the features of many slides, among files of one"):
        read_cohort(tmp_path)


def test_labels_of_some_slides_only_are_none(tmp_path):
    cohort = read_cohort(one_file(tmp_path / "all.h5", (0, None, 1, 1)))
    assert cohort.labels == {}
    assert "the file has no label for slide s1, so none is taken from it" in cohort.notes


def test_the_table_wins_over_the_labels_that_bags_bring(tmp_path):
    table = tmp_path / "t.csv"
    table.write_text("slide_id,label\ns0,x\ns1,x\ns2,y\ns3,y\n")
    assert read_cohort(one_file(tmp_path / "all.h5"), table).class_names == ("x", "y")


def test_splits_that_bags_bring_are_kept_where_the_table_has_none(tmp_path):
    torchmil(tmp_path / "set")
    table = tmp_path / "t.csv"
    table.write_text("slide_id,label\ns0,x\ns1,x\ns2,y\ns3,y\n")
    cohort = read_cohort(tmp_path / "set", table)
    assert cohort.splits["s3"] == "test"
    assert "splits: those of the bags; the label table has none" in cohort.describe()


def test_a_group_that_is_no_slide_or_lies_elsewhere_is_refused(tmp_path):
    path = one_file(tmp_path / "all.h5")
    with h5py.File(path, "a") as file:
        file["s9"] = h5py.ExternalLink("other.h5", "/s9")
    with pytest.raises(InputError, match=r"all\.h5: Its entry s9 is no slide"):
        read_cohort(path)
    with h5py.File(path, "a") as file:
        del file["s9"]
        file.create_group("s8").create_dataset("feat", (10**9, 10**4), "f2", chunks=(1, 10**4))
    with pytest.raises(InputError, match=r"more than its .* bytes can hold"):
        read_cohort(path)


def test_rows_that_do_not_match_are_refused_with_the_slide(tmp_path):
    with pytest.raises(InputError, match=r"all\.h5: Slide s0 has 3 feature rows but 2 coordinates"):
        read_cohort(one_file(tmp_path / "all.h5", coords=XY[:2]))


# --- classical MIL ------------------------------------------------------------------------------------------


def test_a_mil_benchmark_is_a_cohort_with_labels(tmp_path):
    cohort = read_cohort(mil_set(tmp_path / "fox.npz"))
    assert ids(cohort) == ["fox-0", "fox-1", "fox-2"] and cohort.labels == {"fox-0": 0, "fox-1": 1, "fox-2": 1}
    assert [bag.n_tiles for bag in cohort.bags] == [2, 1, 3]
    assert np.array_equal(cohort.bags[2].features(), features(0, rows=6)[3:])


def test_slides_given_for_bags_of_none_are_told_of(tmp_path):
    cohort = read_cohort(mil_set(tmp_path / "fox.npz"), slides=tmp_path)
    assert f"no slide of {tmp_path} is used: these bags say nothing of slides" in cohort.describe()


def test_instances_of_a_bag_need_not_stand_together(tmp_path):
    cohort = read_cohort(mil_set(tmp_path / "fox.npz", bag_id=np.array([2, 0, 1, 0, 2, 2])))
    x = features(0, rows=6)
    assert [bag.features().tolist() for bag in cohort.bags] == [
        x[[1, 3]].tolist(),
        x[[2]].tolist(),
        x[[0, 4, 5]].tolist(),
    ]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"bag_id": np.array([0, 0, 1])}, "shapes do not fit"),
        ({"bag_label": np.array([0, 1, 1, 0])}, "Bag 3 has a label but no instance"),
        ({"bag_id": None}, r"no MIL benchmark|cannot be read as a MIL benchmark \(arrays: features, bag_label\)"),
        ({"bag_id": np.arange(6) / 2}, "bag_id float64"),
        ({"features": np.full((6, 4), "a")}, "features are str32"),
        ({"bag_label": np.zeros(200_000)}, "of 200000 bags"),
        ({"bag_id": np.array([{}] * 6)}, r"cannot be read as a MIL benchmark"),
    ],
)
def test_a_mil_benchmark_that_does_not_fit_is_refused(tmp_path, changes, sentence):
    with pytest.raises(InputError, match=rf"fox\.npz.*({sentence})"):
        read_mil_set(mil_set(tmp_path / "fox.npz", **changes))


# --- in words -----------------------------------------------------------------------------------------------


def test_info_describes_collections_with_what_they_bring(tmp_path):
    said = describe(one_file(tmp_path / "all.h5"))
    assert said[0] == "file of 4 bags of 3 tiles x 4 features"
    assert "labels: the attribute label of each slide in the file" in said
    assert any(line.startswith("4 bags have no places (s0, s1, s2, s3): the file does not say") for line in said)
    said = describe(torchmil(tmp_path / "set"))
    assert said[0] == "folder of 4 bags of 3 tiles x 4 features"
    assert "2 classes; train 0 (2), 1 (1); val none; test 1 (1)" in said
    assert "splits: those of splits.csv of the data set" in said


def test_bags_alone_are_in_the_order_of_their_ids(tmp_path):
    for name in ("b", "a", "C"):
        clam(tmp_path / f"{name}.h5")
    assert [bag.slide_id for bag in read_bags(tmp_path)] == ["C", "a", "b"]


@pytest.mark.parametrize("name", COLLECTIONS)
def test_every_collection_is_described_and_read_whole(tmp_path, name):
    path = COLLECTIONS[name](tmp_path)
    cohort = read_cohort(path)
    assert [len(bag.features()) for bag in cohort.bags] == [bag.n_tiles for bag in cohort.bags]
    assert f"{len(cohort.bags)} bags of" in describe(path)[0]
