"""The page as a whole: it parses, needs nothing else, and is written whole or not at all."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from rarefy.errors import FileError
from rarefy.reports import _page

VOID = {"meta", "img", "input", "br"}


class Page(HTMLParser):
    """Checks that tags close in order, and collects what a browser would load."""

    def __init__(self, text):
        super().__init__()
        self.open, self.loaded, self.text, self.images = [], [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):  # noqa: D102
        given = dict(attrs)
        for name in ("src", "href", "srcset", "action", "data", "poster"):
            if name in given:
                self.loaded.append(given[name])
        if tag == "img":
            self.images.append(given)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):  # noqa: D102
        assert self.open.pop() == tag

    def handle_data(self, data):  # noqa: D102
        if not {"script", "style"} & set(self.open):
            self.text.append(data)


@pytest.fixture
def written(full, tmp_path):
    """The text of a page that was written."""
    full.html(tmp_path / "report.html")
    return (tmp_path / "report.html").read_text(encoding="utf-8")


def test_it_parses_and_loads_nothing(written):
    page = Page(written)
    assert page.loaded
    assert all(place.startswith("data:image/png;base64,") for place in page.loaded)
    assert "default-src 'none'" in written
    style = re.search(r"<style>(.*?)</style>", written, re.DOTALL).group(1)
    assert not re.search(r"url\(|@import", style)


def test_it_says_the_headline_numbers(written):
    text = " ".join(Page(written).text)
    for shown in ("75.00 %", "15 weights kept", "25.0 %", "accuracy", "dense 0.5", "masked"):
        assert shown in text


def test_every_picture_has_words(written):
    images = [image for image in Page(written).images if image.get("src")]
    assert len(images) == 2
    assert all(image["alt"].startswith("Mask of ") for image in images)
    assert written.count('role="img" aria-label="') == written.count('class="plot"') > 2


def test_it_follows_the_readers_colours_and_prints(written):
    assert "prefers-color-scheme: dark" in written
    assert "@media print" in written


def test_the_title_is_escaped(full):
    text = _page.page(replace(full, name="</title><script>alert(1)</script>"))
    assert "<script>alert(1)" not in text
    Page(text)


def test_a_new_page_takes_the_place_of_the_old(full, tmp_path):
    path = tmp_path / "report.html"
    path.write_text("old")
    full.html(str(path))
    assert path.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert list(tmp_path.iterdir()) == [path]


def test_a_failure_leaves_the_old_page(full, tmp_path, monkeypatch):
    path = tmp_path / "report.html"
    path.write_text("old")

    def full_disk(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full_disk)
    with pytest.raises(FileError, match="No space left on device"):
        full.html(path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_missing_folder_is_named(full, tmp_path):
    with pytest.raises(FileError, match="cannot be written"):
        full.html(tmp_path / "nowhere" / "report.html")


def test_the_limit_bounds_the_page(full):
    assert "Too large" not in _page.page(full)
    assert _page.page(full, exact=20).count("Too large") == 1
