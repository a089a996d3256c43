"""``rarefy methods``."""

from rarefy import methods


def test_every_method_is_listed_with_its_words(as_json, rarefy_):
    found = as_json("methods")
    assert list(found["methods"]) == [name.rstrip("_") for name in methods.__all__]
    assert found["methods"]["rigl"] == {
        "summary": "Sparse from the start; at an exchange no optimizer step is taken, as in the "
        "reference.",
        "start": "random",
        **methods.rigl().words,
    }
    shown = rarefy_("methods").stdout
    assert all(name in shown for name in found["methods"])


def test_the_words_that_fit_are_listed(as_json):
    words = as_json("methods")["words"]
    assert "magnitude" in words["score"]
    assert "global" in words["allocation"]
    assert words["growth"] == ["gradient", "momentum", "neighbours", "none", "random"]
