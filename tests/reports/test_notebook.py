"""The notebook's table."""

from dataclasses import replace
from html.parser import HTMLParser


class Tags(HTMLParser):
    """Collects what is opened."""

    def __init__(self):
        super().__init__()
        self.opened = []

    def handle_starttag(self, tag, attrs):  # noqa: D102, ARG002
        self.opened.append(tag)


def test_it_is_small_plain_and_escaped(full):
    report = replace(full, name="<script>alert(1)</script>")
    text = report._repr_html_()
    tags = Tags()
    tags.feed(text)
    assert set(tags.opened) == {"div", "p", "strong", "table", "thead", "tbody", "tr", "th", "td"}
    assert "&lt;script&gt;" in text
    assert len(text) < 10_000
    assert "75.00 % sparsity" in text
