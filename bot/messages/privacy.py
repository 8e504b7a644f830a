"""What is said of a member's data: handed out, and deleted."""

from __future__ import annotations


def data_deleted() -> str:
    return "The member who made this has deleted their data: neither the prompt nor the pictures are kept."


def exported(*, begins: bool, more: bool, missing: int, too_large: int) -> str:
    """`missing` pictures are not in the store, `too_large` ones fit no file here."""
    lines = ["### Your data, continued"]
    if begins:
        lines = ["### Your data\nEverything that is stored about you, as JSON, and your original pictures."]
    if missing:
        lines.append(f"{_pictures(missing)} not in the store any more.")
    if too_large:
        lines.append(f"{_pictures(too_large)} larger than a file may be here, and left out.")
    if more:
        lines.append("There is more: press **Next part**.")
    return "\n".join(lines)


def nothing_stored() -> str:
    return "Nothing is stored about you: type `/imagine` to begin."


def _pictures(count: int) -> str:
    return "1 picture is" if count == 1 else f"{count} pictures are"


def next_part() -> str:
    return "Next part"


def really_delete(jobs: int, pictures: int) -> str:
    """What would be deleted: `jobs` of which `pictures` are kept."""
    what = f"**{jobs} jobs** with their prompts and **{pictures} pictures**"
    return (
        f"### Delete all your data?\nThis deletes {what}, your settings, favorites and name. What waits or "
        "runs is stopped. It cannot be undone: `/privacy export` gives you a copy first.\n"
        "-# Messages that were posted stay in their channels, without anything behind their buttons; delete "
        "those that you want gone. Bans, reports and the moderators' log are kept, and pictures that others "
        "made from yours are theirs."
    )


def delete_label() -> str:
    return "Delete everything"


def keep_label() -> str:
    return "Keep it"


def kept() -> str:
    return "### Nothing was deleted."


def deleted(jobs: int) -> str:
    count = "1 job" if jobs == 1 else f"{jobs} jobs"
    return (
        f"### Your data is deleted.\n{count}, their pictures, your settings, favorites and name are gone. "
        "If you draw again, you start anew."
    )
