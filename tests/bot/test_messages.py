"""Every sentence fits a message, names what it should and pings nobody else."""

from __future__ import annotations

import re

import pytest

from actions.permissions import Permission
from bot import messages
from bot.messages import refusals
from prompts import sentences as language
from prompts.markdown import length
from prompts.parser import FLAGS, FlagError, Meaning, Note, NoteKind, parse
from storage.contract import Action, ErrorCode, Speed
from storage.tables import Job
from tests.prompts.catalogs import catalog

OWNER = 123456789012345678


def job(action: Action = Action.IMAGINE, text: str = "a red castle --ar 3:2", **changes: object) -> Job:
    facts = {"id": 42, "member_id": OWNER, "action": action.value, "text": text, "parent_index": None}
    request = {"mask_words": "the castle"}
    return Job(**{**facts, "speed": "fast", "request": request, **changes})


def of_image(action: Action) -> Job:
    return job(action, parent_index=1)


@pytest.mark.parametrize(
    ("action", "sentence"),
    [
        (Action.IMAGINE, "**a red castle --ar 3:2** - <@{}> (Waiting to start)"),
        (Action.REROLL, "Rerolling **a red castle --ar 3:2** - <@{}> (Waiting to start)"),
        (
            Action.VARY,
            "Making variations for image #2 with prompt **a red castle --ar 3:2** - <@{}> (Waiting to start)",
        ),
        (Action.UPSCALE_2X, "Upscaling image #2 with **a red castle --ar 3:2** - <@{}> (Waiting to start)"),
    ],
)
def test_a_job_waits_in_midjourneys_words(action: Action, sentence: str) -> None:
    assert messages.waiting(of_image(action)) == sentence.format(OWNER)


def test_the_queue_is_named_where_there_is_one() -> None:
    assert messages.waiting(job(), ahead=3).endswith("(Waiting to start) - about 3 ahead")
    assert "ahead" not in messages.waiting(job(), ahead=0)


@pytest.mark.parametrize(
    ("fraction", "percent"), [(0.0, 0), (0.314, 31), (0.999, 99), (1.0, 99), (-0.1, 0), (7.0, 99)]
)
def test_progress_is_a_percentage_below_100(fraction: float, percent: int) -> None:
    assert messages.progress(job(), fraction) == f"**a red castle --ar 3:2** - <@{OWNER}> ({percent}%) (fast)"


@pytest.mark.parametrize(
    ("action", "wording"),
    [
        (Action.IMAGINE, ""),
        (Action.REROLL, ""),
        (Action.VARY, "Variations by "),
        (Action.VARY_SUBTLE, "Variations (Subtle) by "),
        (Action.VARY_STRONG, "Variations (Strong) by "),
        (Action.VARY_REGION, "Variations (Region) by "),
        (Action.REMIX, "Remix by "),
        (Action.REMIX_REGION, "Remix (Region) by "),
        (Action.UPSCALE_SUBTLE, "Upscaled (Subtle) by "),
        (Action.UPSCALE_CREATIVE, "Upscaled (Creative) by "),
        (Action.ZOOM_OUT, "Zoom Out by "),
        (Action.ZOOM_OUT_15X, "Zoom Out by "),
        (Action.ZOOM_CUSTOM, "Zoom Out by "),
        (Action.PAN_UP, "Pan Up by "),
        (Action.UPSCALE_2X, "Upscaled (2x) by "),
        (Action.UPSCALE_4X, "Upscaled (4x) by "),
    ],
)
def test_a_result_says_what_was_done(action: Action, wording: str) -> None:
    assert messages.finished(of_image(action)) == f"**a red castle --ar 3:2** - {wording}<@{OWNER}> (fast)"


@pytest.mark.parametrize(
    ("speed", "stealth", "mode"),
    [
        (Speed.FAST, False, "(fast)"),
        (Speed.RELAX, False, "(relaxed)"),
        (Speed.TURBO, False, "(turbo)"),
        (Speed.FAST, True, "(fast, stealth)"),
        (Speed.RELAX, True, "(relaxed, stealth)"),
    ],
)
def test_the_mode_ends_the_line(speed: Speed, stealth: bool, mode: str) -> None:
    shown = job(speed=speed.value, stealth=stealth)
    assert messages.finished(shown).endswith(f"<@{OWNER}> {mode}")
    assert messages.progress(shown, 0.5).endswith(f"(50%) {mode}")


def test_a_picked_picture_is_named_by_its_number() -> None:
    assert messages.single(job(), 1, 99) == "**a red castle --ar 3:2** - Image #2 <@99>"


def test_withheld_pictures_are_counted() -> None:
    assert messages.finished(job(), 4, 1).endswith("1 of 4 pictures was withheld by the safety check.")
    assert "2 of 4 pictures were" in messages.finished(job(), 4, 2)
    assert "withheld every picture" in messages.all_withheld(job())


@pytest.mark.parametrize("code", ErrorCode)
def test_a_failed_job_says_why_and_which_number_to_quote_if_that_helps(code: ErrorCode) -> None:
    sentence = messages.failed(job(error_code=code.value))
    theirs = code in (ErrorCode.REGION_NOT_FOUND, ErrorCode.REGION_TOO_LARGE)
    assert ("Vary (Region)" if theirs else "Sorry") in sentence
    mended = theirs or code in (ErrorCode.SOURCE_WITHHELD, ErrorCode.SAMPLER_UNAVAILABLE)
    assert ("Job 42" in sentence) is not mended


def test_every_reason_has_its_own_sentence() -> None:
    assert len({messages.failed(job(error_code=code.value)) for code in ErrorCode}) == len(ErrorCode)


def test_a_cancelled_job_is_stopped() -> None:
    assert messages.cancelled(job()) == f"**a red castle --ar 3:2** - <@{OWNER}> (Stopped)"


LONG = ["x" * 4000, "*" * 4000, "🦊" * 2000, "狐" * 4000, "<@1>" * 1000]


@pytest.mark.parametrize("text", LONG)
@pytest.mark.parametrize("action", Action)
def test_every_message_of_a_job_fits_and_mentions_its_member_alone(action: Action, text: str) -> None:
    shown = job(action, text, parent_index=3, error_code="crashed", id=2**62, member_id=2**63 - 1)
    sentences = [
        messages.waiting(shown, 1000),
        messages.progress(shown, 0.5),
        messages.stopping(shown),
        messages.cancelled(shown),
        messages.finished(shown, 4, 3),
        messages.all_withheld(shown),
        messages.single(shown, 3, shown.member_id),
        messages.failed(shown),
        messages.pictures_lost(shown),
        messages.not_posted(shown),
        messages.handed_over(shown),
        messages.shown_below(shown),
    ]
    for sentence in sentences:
        assert length(sentence) <= messages.CONTENT
        assert re.findall(r"(?<!\\)<@!?(\d+)>", sentence) == [str(shown.member_id)]
        assert sentence.count("…**") == 1


def sentence_of(text: str, **options: str) -> str:
    with pytest.raises(FlagError) as caught:
        parse(text, catalog(), options=options)
    return language.flag_problems(caught.value.faults)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "a fox --styilze 5",
            (
                "Unrecognized parameter: `--styilze`. Did you mean `--stylize`? "
                "It takes a whole number from 0 to 1000."
            ),
        ),
        (
            "a fox --xyzzy",
            "Unrecognized parameter: `--xyzzy`. There are "
            + ", ".join(f"`--{flag.name}`" for flag in FLAGS if flag.meaning is Meaning.WORKS)
            + ".",
        ),
        (
            "a fox --s 1001",
            "`--s` takes a whole number from 0 to 1000, not `1001`. Did you mean `--s 1000`?",
        ),
        (
            "a fox --ar 9:1",
            ("`--ar` takes width:height, such as 3:2, up to 4:1 or 1:4, not `9:1`. Did you mean `--ar 4:1`?"),
        ),
        ("a fox --seed", "`--seed` needs a value: a whole number from 0 to 4294967295."),
        (
            "--cfg 5 a fox",
            (
                "`--cfg` takes a number from 0 to 30, but `a fox` stands after it. "
                "Write the text first, then the flags."
            ),
        ),
        ("", "Empty prompt: write what to draw, then the flags, such as `a red fox --ar 3:2`."),
        (
            "x" * 4001,
            "The prompt has 4,001 characters with its flags and your settings; at most 4,000 can be drawn.",
        ),
        ("a fox --model zzz", "`--model` takes one of picturebook, dream_xl, not `zzz`."),
    ],
)
def test_each_fault_has_its_sentence(text: str, sentence: str) -> None:
    assert sentence_of(text) == sentence


def test_a_typed_value_cannot_break_out_of_its_sentence() -> None:
    assert "`x**@everyone**x`" in sentence_of("a fox --s x**@everyone**x")
    assert r"\`\*\*" in sentence_of("a fox --s y`**x**y")


@pytest.mark.parametrize(
    "text",
    [
        "a fox --" + "x" * 3900,
        "a fox --s" + "9" * 3900,
        "a fox --s " + "`" * 3900,
        "a fox " + " ".join(f"--{name} {'`' * 700}" for name in ("sampler", "model", "ar", "s", "cfg")),
        "a fox --hd " + "🦊" * 1900,
    ],
)
def test_no_command_is_too_wrong_for_one_message(text: str) -> None:
    sentence = sentence_of(text)
    assert length(sentence) <= messages.CONTENT - 200
    assert length(refusals.with_echo(sentence, text)) <= messages.CONTENT


def test_a_prompt_with_every_flag_of_midjourneys_is_told_briefly() -> None:
    (note,) = language.notes([Note(NoteKind.NO_MEANING, f"flag{n}") for n in range(60)])
    assert note.count("`--flag") == 12
    assert "and 48 more have no meaning here" in note


def test_notes_name_all_flags_without_meaning_in_one_sentence() -> None:
    parsed = parse("a fox --v 6.1 --hd --exp 5 --p", catalog())
    assert language.notes(parsed.notes) == [
        "`--hd`, `--exp` and `--p` have no meaning here and changed nothing.",
        "No model here stands for `--v 6.1`, so it changed nothing.",
    ]
    assert language.notes(parse("a fox --hd", catalog()).notes) == [
        "`--hd` has no meaning here and changed nothing."
    ]


def test_other_notes_say_what_was_done_instead() -> None:
    notes = [
        Note(NoteKind.OPTION_OVERRULED, "ar", "3:2"),
        Note(NoteKind.SETTING_UNUSABLE, "model", "sold"),
        Note(NoteKind.SNAPPED, "ar", "13:4 (208×64)"),
    ]
    overruled, unusable, snapped = language.notes(notes)
    assert overruled == "`--ar` in your text was followed, not the option `3:2`."
    assert "`sold` cannot be used any more" in unusable
    assert "drawn as 13:4 (208×64)" in snapped


def test_unknown_words_are_named_with_what_is_known() -> None:
    hint = language.unknown_words("Picturebook", {"dragon": None, "caslte": "castle"}, ("castle", "boat"))
    assert (
        hint
        == "Picturebook does not know *dragon* and *caslte*. Did you mean *castle*? It knows castle, boat, …"
    )


def test_an_echo_that_does_not_fit_goes_into_a_file() -> None:
    assert refusals.with_echo("No.", "a fox").endswith("```\na fox\n```")
    for echo in ("x" * 1990, "a ``` b"):
        sentence = refusals.with_echo("No.", echo)
        assert "in the file" in sentence
        assert echo not in sentence


def test_refusals_carry_their_figures() -> None:
    assert "Your job queue is full. Please wait for a job to finish first" in refusals.queue_full(10)
    assert refusals.banned("spam", 1_700_000_000_000).endswith("until <t:1700000000:f>. Reason: spam")
    assert refusals.banned("", None) == "You have been blocked from drawing here."
    missing = (Permission.SEND_MESSAGES, Permission.ATTACH_FILES)
    assert "**Send Messages** and **Attach Files**" in refusals.missing_permissions(missing)
    assert "8192 × 4096" in refusals.too_large(8192, 4096, 4096)
    assert "Quote 7" in refusals.unexpected(7)
