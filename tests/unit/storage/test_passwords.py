from argon2 import extract_parameters
from argon2.profiles import RFC_9106_LOW_MEMORY

from dispatcher.settings import Settings
from dispatcher.storage.admin.passwords import Passwords
from tests.support.builders import PASSWORDS


def test_only_the_right_password_fits_and_no_two_hashes_are_alike() -> None:
    first, second = PASSWORDS.hash("correct horse"), PASSWORDS.hash("correct horse")

    assert first != second
    assert PASSWORDS.fits("correct horse", first)
    assert not PASSWORDS.fits("correct horse ", first)
    assert not PASSWORDS.fits("", first)


def test_nobody_and_a_broken_hash_have_no_right_password() -> None:
    assert not PASSWORDS.fits("", None)
    assert not PASSWORDS.fits("no password has this hash", None)
    assert not PASSWORDS.fits("x", "no hash")


def test_unless_it_is_set_a_hash_costs_what_the_rfc_recommends() -> None:
    settings = Settings(database_url="", redis_url="", broker_url="", secret_keys=())

    made = Passwords(settings.password_memory_kib).hash("correct horse")

    assert made.startswith("$argon2id$")
    assert extract_parameters(made) == RFC_9106_LOW_MEMORY
    assert PASSWORDS.fits("correct horse", made)  # by the cost that the hash tells
