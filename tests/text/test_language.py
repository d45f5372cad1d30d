"""The language of texts that the script does not decide."""

import pytest

from finelake.text.language import UNKNOWN, guess


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("I would like to open a savings account for my daughter", "en"),
        ("Ich möchte bitte ein Konto für meine Tochter eröffnen", "de"),
        ("Je voudrais ouvrir un compte pour ma fille, s'il vous plaît", "fr"),
        ("Я хочу открыть счёт для своей дочери", "ru"),
        ("ok", "en"),  # Latin, and the model is not sure
    ],
)
def test_languages_are_recognised(text, language):
    assert guess(text) == language


@pytest.mark.parametrize("text", ["", "   \n", "12345", "3.50 € !?", "_ - _"])
def test_a_text_without_letters_has_no_known_language(text):
    assert guess(text) == UNKNOWN


def test_links_numbers_and_masked_values_do_not_decide():
    text = "Ich möchte bitte ein Konto für meine Tochter eröffnen"
    assert guess(f"https://example.com/open/an/account <PHONE> @support #help A1 {text}") == "de"


def test_a_text_of_noise_only_still_has_a_language():
    assert guess("https://example.com/a\nhttps://example.com/b") != UNKNOWN
