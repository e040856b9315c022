"""Writers of tables of labels and splits as other projects have them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path


def _text(name: str, text: str) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        path = folder / name
        path.write_text(text)
        return path

    return write


def _stamp(folder: Path) -> Path:
    (folder / "slide.csv").write_text("PATIENT,FILENAME\np0,s0.h5\np1,s1.h5\n")
    return _text("clini.csv", "PATIENT,isMSIH\np0,MSIH\np1,nonMSIH\n")(folder)


TABLES: dict[str, Callable[[Path], Path]] = {
    "label table": _text("labels.csv", "slide_id,label,split,patient\ns0,normal,train,p0\ns1,tumour,test,p1\n"),
    "CLAM labels": _text("labels.csv", "case_id,slide_id,label\np0,s0,normal_tissue\np1,s1,tumor_tissue\n"),
    "DSMIL labels": _text("c16.csv", "0,label\ndatasets/c16/normal/s0.csv,0\ndatasets/c16/tumor/s1.csv,1\n"),
    "BRACS table": _text("bracs.csv", ",case_id,slide_id,split_info,label\n0,p0,s0,train,1\n1,p1,s1,test,0\n"),
    "xMIL table": _text("xmil.csv", "case_id,type,label,subset\ns0,normal,0,train\ns1,tumor,1,test\n"),
    "STAMP clini table": _stamp,
    "CAMELYON16 reference": _text("reference.csv", "test_001,Tumor,IDC,Macro\ntest_002,Normal,None,None\n"),
    "CAMELYON17 stages": _text(
        "stages.csv",
        "patient,stage\npatient_000.zip,pN0\npatient_000_node_0.tif,negative\npatient_000_node_1.tif,itc\n",
    ),
    "CLAM splits": _text("splits_0.csv", ",train,val,test\n0,s0,s2,s3\n1,s1,,\n"),
    "CLAM boolean splits": _text(
        "splits_0_bool.csv", ",train,val,test\ns0,True,False,False\ns1,False,True,False\ns2,False,False,True\n"
    ),
    "ACMIL splits": _text(
        "split_1.json", json.dumps({"train_names": ["s0", "s1"], "val_names": ["s2"], "test_names": ["s3"]})
    ),
    "torchmil splits": _text("splits.csv", "bag_name,split\ns0,train\ns1,test\n"),
}
"""By the name of the table."""
