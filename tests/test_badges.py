"""A badge says in its title what it shows, and stands on its own."""

from xml.etree import ElementTree

import pytest

from generators.badges import badge


@pytest.mark.parametrize("look", ["good", "fair", "bad", "plain"])
def test_a_badge_is_a_picture_with_a_title_and_no_other_host(look: str) -> None:
    drawn = badge("quality <&>", "97.5 %", look)
    root = ElementTree.fromstring(drawn)
    assert root[0].text == "quality <&>: 97.5 %"
    assert [text.text for text in root.iter("{http://www.w3.org/2000/svg}text")] == ["quality <&>", "97.5 %"]
    assert drawn.count("http") == 1
