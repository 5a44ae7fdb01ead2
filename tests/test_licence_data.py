"""What the 60 labelled packages in tests/data/licences promise to the tests that lean on them."""

import json
import re
from collections import Counter
from pathlib import Path

import pytest
from license_expression import ExpressionError, get_spdx_licensing
from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

DATA = Path(__file__).parent / "data" / "licences"
RECORDS = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(DATA.glob("*.json"))}
COUNTS = {"permissive": 24, "weak copyleft": 12, "strong copyleft": 11, "proprietary": 8, "unknown": 5}
MISLEADING = {"bundled", "contradiction", "negation", "remark", "lookalike"}
IN_PLACE_OF_A_NAME = {"full text", "file name", "copyright notice", "classifier in field", "link", "no text", "empty"}
TRAPS = MISLEADING | IN_PLACE_OF_A_NAME | {"dual", "sum", "exception", "language"}
# Classifiers that say how free something is, not under which licence it is; the second kind speaks against a named one.
VAGUE = {"OSI Approved", "Public Domain", "Freely Distributable"}
RESTRICTED = {"Other/Proprietary License", "Free for non-commercial use", "Free To Use But Restricted"}
# Words that any name of a licence may hold without naming another one.
FILLING = {"the", "license", "licence", "version", "v", "or", "later"}
CUT = re.compile(r"\n\[cut here: the whole text has ([\d,]+) characters\]\n$")

every_record = pytest.mark.parametrize("record", RECORDS.values(), ids=RECORDS)


def test_there_are_60_packages_in_the_promised_mixture():
    """The counts of the README hold, and no package is there twice."""
    assert Counter(record["label"] for record in RECORDS.values()) == COUNTS
    assert len({record["name"].lower() for record in RECORDS.values()}) == 60


def test_the_readme_states_the_counts():
    """Its table is that of the files."""
    rows = re.findall(r"^\| ([a-z ]+) \| (\d+) \|", (DATA / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert {label: int(count) for label, count in rows} == COUNTS


@every_record
def test_a_record_is_well_formed(record):
    """Every key is there, with values of its type, and nothing else."""
    assert list(record) == ["name", "version", "metadata", "texts", "label", "reason", "traps", "source"]
    assert list(record["metadata"]) == ["license_expression", "license", "classifiers", "summary"]
    assert all(isinstance(value, str | None) for key, value in record["metadata"].items() if key != "classifiers")
    assert all(name.startswith("License :: ") for name in record["metadata"]["classifiers"])
    assert f"{record['name']}-{record['version']}" in RECORDS
    assert set(record["traps"]) <= TRAPS


@every_record
def test_a_record_says_which_file_was_read(record):
    """The file's name holds the version, and its hash is a SHA-256."""
    assert record["version"] in record["source"]["file"]
    assert record["source"]["file"].endswith((".whl", ".tar.gz", ".tar.bz2", ".zip"))
    assert re.fullmatch(r"[0-9a-f]{64}", record["source"]["sha256"])


@every_record
def test_a_text_is_whole_or_says_that_it_was_cut(record):
    """At most 6,000 characters of a text are kept, and what was cut was longer."""
    for text in record["texts"].values():
        cut = CUT.search(text)
        kept = text[: cut.start()] if cut else text
        assert 0 < len(kept) <= 6_000
        assert not cut or (len(kept) == 6_000 < int(cut[1].replace(",", "")))


@every_record
def test_the_metadata_alone_settles_nothing(record):
    """No expression, no SPDX name, and no single classifier with which the field agrees."""
    metadata = record["metadata"]
    assert not is_spdx(metadata["license_expression"])
    assert not is_spdx(metadata["license"])
    said = {last_part(classifier) for classifier in metadata["classifiers"]}
    named = list(said - VAGUE - RESTRICTED)
    assert len(named) != 1 or said & RESTRICTED or not agrees(metadata["license"], named[0])


@every_record
def test_a_label_has_its_reason(record):
    """One sentence, long enough to say what was read."""
    assert re.fullmatch(r"[A-Z][^\n]{60,320}\.", record["reason"])


def test_no_two_packages_share_a_reason():
    """Each was read by itself."""
    assert len({record["reason"] for record in RECORDS.values()}) == 60


def test_enough_records_mislead():
    """At least a dozen hold evidence that points elsewhere than their label does."""
    assert sum(bool(MISLEADING & set(record["traps"])) for record in RECORDS.values()) >= 12


@pytest.mark.parametrize(
    ("field", "classifier", "agreement"),
    [
        ("UNKNOWN", "MIT License", True),
        ("MIT License", "MIT License", True),
        ("GPLv3+", "GNU General Public License v3 or later (GPLv3+)", True),
        ("GPLv3+", "BSD License", False),
        ("GPLv2 with an exception", "GNU General Public License v2 (GPLv2)", False),
    ],
)
def test_agreement_is_told_from_its_opposite(field, classifier, agreement):
    """The measure of messiness above is neither always true nor always false."""
    assert agrees(field, classifier) is agreement


def is_spdx(text):
    """Whether `text` is an SPDX expression for either of the two libraries."""
    if text is None:
        return False
    try:
        canonicalize_license_expression(text)
    except InvalidLicenseExpression:
        pass
    else:
        return True
    try:
        get_spdx_licensing().parse(text, validate=True, strict=True)
    except (ExpressionError, ValueError):
        return False
    return bool(text.strip())


def last_part(classifier):
    """The name at a classifier's end."""
    return classifier.rsplit(" :: ", maxsplit=1)[-1]


def agrees(field, classifier):
    """Whether `field` is empty or says nothing besides what `classifier` says."""
    return field in {None, "", "UNKNOWN"} or words(field) - FILLING <= words(classifier)


def words(text):
    return set(re.findall(r"[a-z]+", text.lower()))
