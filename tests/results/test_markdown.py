from results.markdown import LINE, listed, pending, prose, table


def test_a_cell_stays_a_cell_whatever_it_holds() -> None:
    lines = table(["row", "x"], [["a|b\nc <d>", "1"]])
    assert lines == ["| row | x |", "| --- | ---: |", "| a\\|b c &lt;d> | 1 |"]


def test_prose_keeps_to_the_width_of_a_page_and_an_item_hangs() -> None:
    lines = prose("word " * 60, "- ")
    assert all(len(line) <= LINE for line in lines)
    assert lines[0].startswith("- word")
    assert lines[1].startswith("  word")


def test_an_address_is_not_broken() -> None:
    address = f"[a](https://example.org/{'x-y/' * 40})"
    assert address in prose(f"{'word ' * 20}{address} and more")


def test_names_as_a_sentence_has_them() -> None:
    assert [listed([]), listed(["a"]), listed(["a", "b", "c"])] == ["none", "a", "a, b and c"]
    assert pending("nothing", "do it") == ["Not run yet: nothing.", "", "    do it"]
