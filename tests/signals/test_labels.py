import numpy as np

from agile_bench.api import AAMI
from agile_bench.signals.labels import aami, is_beat

TABLE = {"N": "NLRBejn", "S": "AaJS", "V": "VEr", "F": "F", "Q": "/fQ?"}


def test_every_beat_symbol_has_the_class_of_the_standard():
    for name, symbols in TABLE.items():
        assert [AAMI[code] for code in aami(np.array(list(symbols)))] == [name] * len(symbols)


def test_what_is_no_beat_has_no_class():
    marks = np.array(list('![]x~|+"sT^ptu()*D=@'))
    assert (aami(marks) == -1).all()
    assert not is_beat(marks).any()


def test_order_is_kept_and_the_type_is_small():
    codes = aami(np.array(["V", "+", "N", "e", "V"]))
    assert codes.tolist() == [2, -1, 0, 0, 2]
    assert codes.dtype == np.int8
    assert is_beat(np.array(["V", "+"])).tolist() == [True, False]


def test_no_annotation_at_all():
    assert aami(np.array([], dtype="<U1")).shape == (0,)
