"""Schema `media`."""

from typing import Any

from flask_babel import lazy_gettext as _l
from wtforms import FileField
from wtforms.validators import Optional

from console.db import Base
from console.errors import N_, FileRefused
from console.models import File, User
from console.policy import FILE_OWNERS as OWNERS
from console.services import files
from console.states import FileOwner
from console.views.fields import LookupField, read_upload
from console.views.table import TableView

#: The owners a file can be uploaded for; a proof comes with its receipt.
CHOICES = {
    "event": (FileOwner.EVENT, _l("Event")),
    "organizer": (FileOwner.ORGANIZER, _l("Organizer")),
    "team_member": (FileOwner.TEAM_MEMBER, _l("Team member")),
    "person": (FileOwner.USER, _l("Person")),
}


class FileView(TableView):
    model = File
    menu_icon = "photo"
    list_columns = ("owner_id", "owner_type", "content_type", "size_bytes", "expires_at", "created_at")
    search_by = ("file_key",)
    create_columns = ("content", ("event", "organizer"), ("team_member", "person"))
    create_label = _l("Upload a file")
    delete_note = _l("Nobody can open the file any more.")
    about = _l("Images and documents in the storage.")
    extra_fields = {
        "content": FileField(_l("File"), description=_l("An image or a PDF, for one of these:")),
        **{
            name: LookupField(label, [Optional()], target=OWNERS[kind])
            for name, (kind, label) in CHOICES.items()
        },
    }

    def create(self, values: dict[str, Any], actor: User) -> Base:
        chosen = [(kind, values[name]) for name, (kind, _) in CHOICES.items() if values.get(name)]
        if len(chosen) != 1:
            raise FileRefused(problem=N_("choose whom or what it belongs to, one of the four."))
        return files.store_file(*chosen[0], read_upload(values.get("content")), actor=actor)

    def delete(self, row: Any, actor: User) -> None:
        files.remove_file(row.id, actor=actor)


VIEWS = (FileView,)
