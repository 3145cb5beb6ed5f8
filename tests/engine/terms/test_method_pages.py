from pathlib import Path
from typing import get_args

import pytest

from claf_engine.terms.method_pages import METHOD_PAGES
from claf_engine.terms.names import Method

ROOT = Path(__file__).parents[3]


def test_every_method_has_a_page_in_the_order_of_the_settings() -> None:
    assert tuple(METHOD_PAGES) == get_args(Method)


@pytest.mark.parametrize("name", METHOD_PAGES)
def test_a_page_is_whole_sentences_and_leads_to_a_section_of_the_documents(name: str) -> None:
    page = METHOD_PAGES[name]
    assert page.what.endswith(".")
    assert page.known.endswith(".")
    place, _, anchor = page.section.partition("#")
    text = (ROOT / "docs" / place).read_text(encoding="utf-8")
    headings = [line.lstrip("#").strip() for line in text.splitlines() if line.startswith("#")]
    assert anchor in [heading.lower().replace(" ", "-") for heading in headings]
