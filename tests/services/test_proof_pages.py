"""Proofs are drawn by a worker, also those that were made to do harm."""

import io
import zlib

import pytest
import sqlalchemy as sa
from PIL import Image

from console import errors
from console.db import db, now
from console.gateways import storage
from console.models import File, PaymentReceipt
from console.services import files, pdf_child, pdfs, proof_pages, receipts
from console.services.content import Content
from console.services.proof_pages import Shown
from console.states import FileOwner
from tests import make
from tests.services import samples
from tests.services.look import bells

PDF = "application/pdf"


def file_of(receipt: PaymentReceipt) -> File:
    assert receipt.file_id is not None
    return db.session.get_one(File, receipt.file_id, populate_existing=True)


def uploaded(content: bytes) -> File:
    return file_of(receipts.upload_proof(make.booking().id, content=content, actor=None))


def stored_by_another_service(content: bytes, content_type: str = PDF) -> File:
    """A proof that nobody examined."""
    receipt = make.payment_receipt()
    kind = Content(content, content_type, "pdf" if content_type == PDF else "jpg")
    file = files.store_file(FileOwner.PAYMENT_RECEIPT, receipt.id, kind, actor=None)
    receipt.file_id = file.id
    db.session.flush()
    return file


def again(file: File) -> File:
    """The file as it is now, due at once."""
    db.session.refresh(file)
    file.inspect_after = make.soon(hours=-1)
    db.session.flush()
    return file


def parts(file: File) -> dict[str, File]:
    rows = db.session.scalars(sa.select(File).where(File.source_id == file.id))
    return {str(row.part): row for row in rows}


def test_upload_of_a_proof_rings_for_its_inspection() -> None:
    uploaded(samples.image())
    assert "inspect-proofs" in bells()


def test_image_can_be_seen_at_once_and_has_a_thumbnail_after_inspection() -> None:
    file = uploaded(samples.image("PNG", size=(900, 600)))
    assert proof_pages.pages_of(file) == proof_pages.Pages(Shown.READY, 1)
    assert proof_pages.find_picture(file, "page-1") == file
    assert proof_pages.inspect_next()
    assert not proof_pages.inspect_next()
    small = files.read_file(parts(file)["thumbnail"].id).data
    with Image.open(io.BytesIO(small)) as image:
        assert (image.format, image.size) == ("JPEG", (240, 160))


def test_pdf_waits_until_its_pages_are_drawn() -> None:
    file = uploaded(samples.written("one", "two", "three"))
    assert proof_pages.pages_of(file) == proof_pages.Pages(Shown.WAITING)
    with pytest.raises(errors.NotFound):
        proof_pages.find_picture(file, "page-1")
    assert proof_pages.inspect_next()
    db.session.refresh(file)
    assert proof_pages.pages_of(file) == proof_pages.Pages(Shown.READY, 3)
    assert set(parts(file)) == {"page-1", "page-2", "page-3", "thumbnail"}
    page = proof_pages.find_picture(file, "page-2")
    with Image.open(io.BytesIO(files.read_file(page.id).data)) as image:
        assert image.width == pdf_child.WIDTH_PIXELS
    # They end with the proof they were made of.
    assert {row.expires_at for row in parts(file).values()} == {file.expires_at}
    files.remove_file(file.id, actor=None)
    assert files.purge_due(10) == 5


def test_page_that_claims_to_be_miles_high_is_drawn_small() -> None:
    (page,) = pdfs.draw_pages(samples.written("high").replace(b"595 842", b"9 99999"))
    with Image.open(io.BytesIO(page.data)) as image:
        assert image.width * image.height <= pdf_child.MAX_PIXELS + image.width + image.height


def bomb() -> bytes:
    """A PDF of 10 KB whose page is 800 MB of nothing."""
    packer = zlib.compressobj(1)
    block = b" " * 2**20
    inner = b"".join(packer.compress(block) for _ in range(800)) + packer.flush()
    return samples.streamed(zlib.compress(inner), "/Filter [/FlateDecode /FlateDecode]")


def test_pdf_that_blows_up_takes_neither_the_upload_nor_the_worker_down() -> None:
    content = bomb()
    assert len(content) < 100_000
    with pytest.raises(errors.FileRefused, match="cannot be read in a reasonable time"):
        uploaded(content)
    file = stored_by_another_service(content)
    assert proof_pages.inspect_next()
    db.session.refresh(file)
    assert (file.inspect_attempts, file.inspected_at) == (1, None)


def test_what_fails_three_times_is_set_aside_and_its_neighbour_is_drawn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    file = stored_by_another_service(samples.written("slow"))
    monkeypatch.setattr(pdfs, "DRAW_SECONDS", 0.001)
    for attempt in (1, 2, 3):
        assert file.inspected_at is None
        assert proof_pages.inspect_next()
        db.session.refresh(file)
        assert file.inspect_attempts == attempt
        again(file)
    assert proof_pages.pages_of(file) == proof_pages.Pages(Shown.SET_ASIDE, 0, proof_pages.UNREADABLE)
    monkeypatch.undo()
    neighbour = uploaded(samples.written("fine"))
    assert proof_pages.inspect_next()
    assert not proof_pages.inspect_next()
    db.session.refresh(neighbour)
    assert proof_pages.pages_of(neighbour).state is Shown.READY


def test_failed_attempt_waits_before_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    file = stored_by_another_service(samples.written("slow"))
    monkeypatch.setattr(pdfs, "DRAW_SECONDS", 0.001)
    assert proof_pages.inspect_next()
    assert not proof_pages.inspect_next()
    db.session.refresh(file)
    assert file.inspect_after > now()


@pytest.mark.parametrize(
    ("content", "content_type", "problem"),
    [
        (b"%PDF-1.7\nnothing", PDF, "the PDF is damaged."),
        (b"no image", "image/jpeg", proof_pages.UNREADABLE),
        (b"<svg/>", "image/svg+xml", proof_pages.UNREADABLE),
    ],
)
def test_what_another_service_stored_and_nobody_can_draw_is_set_aside(
    content: bytes, content_type: str, problem: str
) -> None:
    file = stored_by_another_service(content, content_type)
    assert proof_pages.inspect_next()
    db.session.refresh(file)
    assert (file.problem, parts(file)) == (problem, {})
    assert not proof_pages.inspect_next()


@pytest.mark.parametrize("key", ["", "../../etc/passwd", "https://site.example.org/slip.jpg"])
def test_file_that_was_never_in_the_storage_is_not_looked_for_for_ever(key: str) -> None:
    file = make.file(owner_type="PAYMENT_RECEIPT", owner_id=make.payment_receipt().id, file_key=key)
    for _ in range(proof_pages.MAX_ATTEMPTS):
        assert proof_pages.inspect_next()
        again(file)
    assert file.problem == proof_pages.NOT_STORED


def test_file_that_the_storage_lost_is_set_aside_after_three_looks() -> None:
    file = uploaded(samples.image())
    storage.remove(file.file_key)
    for _ in range(3):
        assert proof_pages.inspect_next()
        again(file)
    assert file.problem == proof_pages.NOT_STORED


def test_storage_that_is_away_costs_no_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    file = uploaded(samples.image())

    def away(_key: str) -> bytes:
        raise storage.StorageError("could not read the file: Timeout")

    monkeypatch.setattr(storage, "get", away)
    for _ in range(5):
        assert proof_pages.inspect_next()
        assert again(file).inspect_attempts == 0
    monkeypatch.undo()
    assert proof_pages.inspect_next()
    db.session.refresh(file)
    assert file.inspected_at is not None


def test_who_lost_the_lease_changes_nothing() -> None:
    file = uploaded(samples.image())
    late = proof_pages._lease()
    assert late is not None
    pictures, seen = proof_pages._work(late)
    again(file)
    assert proof_pages.inspect_next()
    before = {part: row.id for part, row in parts(file).items()}
    assert not proof_pages._settle(late, pictures, seen)
    assert {part: row.id for part, row in parts(file).items()} == before


def test_expired_proof_is_not_inspected() -> None:
    file = uploaded(samples.image())
    file.expires_at = make.soon(hours=-1)
    db.session.flush()
    assert not proof_pages.inspect_next()
