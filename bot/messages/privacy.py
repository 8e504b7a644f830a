"""Sentences about a member's data: handed out, and deleted."""

from __future__ import annotations

from prompts.translation import _, ngettext


def data_deleted() -> str:
    return _("The member who made this has deleted their data: neither the prompt nor the pictures are kept.")


def exported(*, begins: bool, more: bool, missing: int, too_large: int) -> str:
    """`missing` pictures are not in the store, `too_large` ones fit no file here."""
    lines = [_("### Your data, continued")]
    if begins:
        lines = [
            _(
                "### Your data\n"
                "Everything that is stored about you, as JSON, and your original pictures and movies."
            )
        ]
    if missing:
        gone = ngettext(
            "1 picture is not in the store any more.",
            "{count} pictures are not in the store any more.",
            missing,
        )
        lines.append(gone.format(count=missing))
    if too_large:
        larger = ngettext(
            "1 picture is larger than a file may be here, and left out.",
            "{count} pictures are larger than a file may be here, and left out.",
            too_large,
        )
        lines.append(larger.format(count=too_large))
    if more:
        lines.append(_("There is more: press **Next part**."))
    return "\n".join(lines)


def export_begun(*, continued: bool) -> str:
    """Said at once; the first archive takes its place."""
    title = _("### Your data, continued") if continued else _("### Your data")
    what = _(
        "It is being put together, which may take some minutes. The ZIP files come here, or by direct "
        "message where that takes longer than a quarter of an hour."
    )
    return f"{title}\n{what}"


def export_under_way() -> str:
    return _(
        "Your data is being put together already: the ZIP files come where you asked for them first, or by "
        "direct message."
    )


def export_failed(number: int) -> str:
    return _(
        "Your data could not be put together (export {number}). Type `/privacy export` to try it again; if "
        "that does not help, tell whoever runs Easel here."
    ).format(number=number)


def nothing_stored() -> str:
    return _("Nothing is stored about you: type `/imagine` to begin.")


def next_part() -> str:
    return _("Next part")


def really_delete(jobs: int, images: int) -> str:
    """Question before deleting: `jobs`, and the `pictures` of them that are kept."""
    what = _("**{jobs} jobs** with their prompts and **{pictures} pictures**").format(
        jobs=jobs, pictures=images
    )
    return _(
        "### Delete all your data?\n"
        "This deletes {what}, your settings, favorites and name. What waits or runs is stopped. It "
        "cannot be undone: `/privacy export` gives you a copy first.\n"
        "-# Messages that were posted stay in their channels, without anything behind their "
        "buttons; delete those that you want gone. Bans, reports and the moderators' log are kept, "
        "and pictures that others made from yours are theirs."
    ).format(what=what)


def delete_label() -> str:
    return _("Delete everything")


def keep_label() -> str:
    return _("Keep it")


def kept() -> str:
    return _("### Nothing was deleted.")


def deleted(jobs: int) -> str:
    return ngettext(
        "### Your data is deleted.\n"
        "1 job, their pictures, your settings, favorites and name are gone. "
        "If you draw again, you start anew.",
        "### Your data is deleted.\n"
        "{count} jobs, their pictures, your settings, favorites and name are gone. "
        "If you draw again, you start anew.",
        jobs,
    ).format(count=jobs)
