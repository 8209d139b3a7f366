from agile_bench.protocols.knowledge import LEVELS, up_to


def test_every_level_is_the_triple_of_the_design() -> None:
    triples = {name: (level.pool, level.galleries, level.probe) for name, level in LEVELS.items()}
    assert triples == {
        "unprotected": ("original", ("original",), "original"),
        "ignorant": ("original", ("original",), "defender"),
        "lazy-informed": ("original", ("defender",), "defender"),
        "semi-informed": ("own", ("defender",), "defender"),
        "informed": ("defender", ("defender", "original"), "defender"),
    }


def test_an_anonymizer_stands_in_the_way_at_every_level_but_the_first() -> None:
    assert [level.protected for level in LEVELS.values()] == [False, True, True, True, True]


def test_a_level_counts_the_attackers_of_all_levels_below_it() -> None:
    assert up_to("unprotected") == ("unprotected",)
    assert up_to("semi-informed") == ("unprotected", "ignorant", "lazy-informed", "semi-informed")
    assert up_to("informed") == tuple(LEVELS)
