from dispatcher.storage.admin.passwords import hash_password, is_right


def test_only_the_right_password_fits_and_no_two_hashes_are_alike() -> None:
    first, second = hash_password("correct horse"), hash_password("correct horse")

    assert first != second
    assert first.startswith("$argon2id$")
    assert is_right("correct horse", first)
    assert not is_right("correct horse ", first)
    assert not is_right("", first)


def test_nobody_and_a_broken_hash_have_no_right_password() -> None:
    assert not is_right("", None)
    assert not is_right("no password has this hash", None)
    assert not is_right("x", "no hash")
