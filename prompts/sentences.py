"""Sentences about prompts: faults of one that is refused, and notes on one that runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice

from prompts import vocabulary
from prompts.enumerations import either, few, listed
from prompts.markdown import code, length, show_prompt
from prompts.parser import MOST_OPTIONS, FlagProblem, Note, NoteKind, Parsed, Problem, all_notes
from prompts.translation import N_, _, ngettext
from storage.catalog import Catalog

_FAULTS = 1800
"""UTF-16 units that the sentences of one refusal may have."""


def flag_problems(faults: Iterable[FlagProblem]) -> str:
    """A line for each fault, as many as leave room for what follows."""
    first, *others = [_fault(fault) for fault in faults]
    lines = [first]
    for line in others:
        if length("\n".join([*lines, line])) <= _FAULTS:
            lines.append(line)
    return "\n".join(lines)


_WRONG = {
    Problem.MISSING: N_("{name} needs a value: {expected}."),
    Problem.WRONG: N_("{name} takes {expected}, not {given}.{perhaps}"),
    Problem.OFF: N_("{given} cannot be used here now. {name} takes {expected}."),
    Problem.SURPLUS: N_(
        "{name} takes {expected}, but {given} stands after it. Write the text first, then the flags."
    ),
    Problem.LINK: N_(
        "{name} takes {expected}. A picture as a style reference needs an image adapter, which "
        "this model does not have. A link in front of the text is a picture to begin with."
    ),
    Problem.NO_PICTURE: N_(
        "{name} needs a picture that leads: put a link to one in front of the text, or choose one as `image`."
        "{perhaps}"
    ),
    Problem.EMPTY: N_("Empty prompt: write what to draw, then the flags, such as `a red fox --ar 3:2`."),
    Problem.TOO_LONG: N_(
        "The prompt has {count} characters with its flags and your settings; at most {limit} can be drawn."
    ),
    Problem.TOO_MANY: N_("That would be {count} jobs at once; a command may become at most {limit}."),
    Problem.WEIGHT: N_("{given} is too much: the weights of a prompt's parts go from -100 to 100."),
    Problem.WEIGHT_SUM: N_(
        "The weights of the prompt's parts add up to {given}; the sum must be above 0. What shall "
        "not be in the picture can also stand after `--no`."
    ),
    Problem.WEIGHT_BELOW: N_(
        "{name} already says what shall not be in the picture, so nothing there weighs less than 0 as "
        "{given} does. Write what you want to see in the text, without {name}."
    ),
    Problem.EMPHASIS: N_(
        "Emphasis goes from 0 to 10, such as `(red:1.3)`, not {given}. A bracket that is text is "
        "written `\\(`."
    ),
    Problem.SUFFIX_TEXT: N_(
        "A suffix is made of flags alone, such as `--s 250 --ar 3:2`; {given} is text. Words that "
        "you often use can be an option of your own: `/prefer option set`."
    ),
    Problem.OPTION_NAME: N_(
        "{name} cannot be the name of an option: it takes up to 32 letters, digits, - and _, the "
        "first a letter."
    ),
    Problem.OPTION_TAKEN: N_("{name} is a flag already; choose another name for your option."),
    Problem.OPTION_EMPTY: N_("{name} needs something to stand for, such as `watercolor --ar 3:2`."),
    Problem.OPTIONS_FULL: N_("You have {most} options already; delete one to set {name}."),
}


def _fault(fault: FlagProblem) -> str:
    name = code(f"--{fault.flag}")
    meant = code(fault.suggestion) if fault.suggestion else None
    perhaps = _(" Did you mean {meant}?").format(meant=meant) if meant else ""
    if fault.problem is Problem.UNKNOWN:
        said = _("Unrecognized parameter: {name}. There are {expected}.")
        if meant:
            said = _("Unrecognized parameter: {name}. Did you mean {meant}? It takes {expected}.")
        return said.format(name=name, meant=meant, expected=fault.expected)
    if fault.problem is Problem.UNSUPPORTED:
        said = _("{model} cannot do {name}, and no other model here can: leave it out.")
        if meant:
            said = _("{model} cannot do {name}: leave it out, or choose a model that can, such as {meant}.")
        return said.format(name=name, meant=meant, model=fault.given)
    return _(_WRONG[fault.problem]).format(
        name=name,
        expected=fault.expected,
        limit=_number(fault.expected),
        given=code(fault.given),
        count=_number(fault.given),
        most=MOST_OPTIONS,
        perhaps=perhaps,
    )


def _number(digits: str) -> str:
    if not digits.isdecimal():
        return digits
    return f"{int(digits):,}" if len(digits) < 10 else _("more than a billion")


_TOLD = {
    NoteKind.OPTION_OVERRULED: N_("{name} in your text was followed, not the option {detail}."),
    NoteKind.SETTING_UNUSABLE: N_(
        "Your setting {name} {detail} cannot be used any more; `/settings` changes it."
    ),
    NoteKind.SUFFIX_UNUSABLE: N_("{whole} in your suffix cannot be used; `/prefer suffix` changes it."),
    NoteKind.CUSTOM_UNUSABLE: N_(
        "{detail} in your option {name} cannot be used; `/prefer option set` changes it."
    ),
    NoteKind.NO_VERSION: N_("No model here stands for {whole}, so it changed nothing."),
    NoteKind.SNAPPED: N_("{name} is drawn as {plain}: the nearest of the shapes that this model knows."),
    NoteKind.SHAPE_FIXED: N_("{name} changed nothing: what this makes of the picture is always {plain}."),
    NoteKind.STEPS_LIMITED: N_("{name} was drawn in {plain} steps, the most that this model takes."),
    NoteKind.SEEDS_APART: N_(
        "With one {name} all repeats would be the same, so each takes the next: {plain}, …"
    ),
    NoteKind.NO_STYLES: N_("{name} changed nothing: {plain} has no styles for codes to pick."),
    NoteKind.NO_LORAS: N_("{name} changed nothing: {plain} has no LoRAs here."),
    NoteKind.NO_UPSCALERS: N_("{name} changed nothing: {plain} has no upscalers here to choose from."),
    NoteKind.NO_REFINER: N_("{name} changed nothing: {plain} has no refiner here."),
    NoteKind.NO_ADAPTER: N_("{name} changed nothing: {plain} cannot read such pictures."),
    NoteKind.NO_CONTROLS: N_("{name} changed nothing: {plain} has no control networks here."),
    NoteKind.CODES_UNWEIGHTED: N_("All that stands after {name} counts the same here, whatever its weight."),
    NoteKind.PICTURES_UNWEIGHTED: N_(
        "The pictures before your text count the same here, whatever their weights."
    ),
    NoteKind.PICTURES_LEFT_OUT: N_(
        "Too many pictures stand before your text: the last {plain} were left out, and not fetched."
    ),
    NoteKind.ALONE: N_("{name} changed nothing without {plain}."),
    NoteKind.NOT_EDITED: N_(
        "No model here changes a picture by an instruction yet: the links of {name} were read as pictures in "
        "front of your text, and its words as part of it."
    ),
    NoteKind.LIKE_FLAG: N_(
        "{detail} was read as words. A flag begins with two dashes and stands behind the text: {name}."
    ),
    NoteKind.FLAG_IN_QUOTES: N_("{detail} stands in quotes and was read as letters to draw, not as a flag."),
    NoteKind.READ_AS: N_("{name} was read as {detail}, as it is written here."),
    NoteKind.SIZE_READ: N_(
        "Width and height were read as the picture's shape, {detail}. (Here `--w` alone is `--weird`.)"
    ),
    NoteKind.SIDE_ALONE: N_(
        "{name} changed nothing: a picture's shape takes both sides, such as `--ar 2:3`."
    ),
    NoteKind.COUNT: N_("{name} changed nothing: there are always four pictures; `--repeat` draws more."),
    NoteKind.RANDOM_SEED: N_("{whole} was left out: without a seed, each drawing takes a random one."),
    NoteKind.LAST_HOLDS: N_("{detail} gave way to {name}, which stands behind it."),
    NoteKind.LABEL_READ: N_("What stood behind the label was read as {detail}."),
    NoteKind.SETTINGS_IN_TEXT: N_(
        "{detail} looks like another program's settings and was read as words; here they are flags, such as "
        "`--steps 20 --cfg 7 --ar 2:3`."
    ),
    NoteKind.BREAK: N_("{detail} of other programs was read as a comma."),
    NoteKind.AND: N_(
        "{detail} was read as a word. Parts that are weighed against each other are written "
        "`a cat::1 a dog::2`."
    ),
    NoteKind.BRACES: N_(
        "{detail} was read with its braces. Weight is written `(red:1.3)`; braces hold a choice, "
        "`{{red, blue}}`."
    ),
    NoteKind.STYLE_UNKNOWN: N_(
        "{whole} changed nothing: of Midjourney's styles only `--style raw` has a meaning here."
    ),
    NoteKind.ZOOM: N_(
        "{whole} changed nothing here: it is for the form of the button Custom Zoom, below a single picture."
    ),
    NoteKind.VALUES_LOST: N_("Of the pasted values these have no meaning here and were left out: {detail}."),
    NoteKind.LINK_IN_TEXT: N_("{detail} was read as words: a link to a picture stands in front of the text."),
}


def hints(parsed: Sequence[Parsed], catalog: Catalog) -> list[str]:
    """Sentences about a command that runs, each once though it became many jobs."""
    lines = notes(all_notes(parsed))
    for model in dict.fromkeys(each.request.model for each in parsed):
        words = dict.fromkeys(
            word for each in parsed if each.request.model == model for word in each.unknown_words
        )
        # Each is compared with the whole vocabulary: a batch of forty names no more than one prompt does.
        named = islice(words, vocabulary.MOST_NAMED)
        alike = {word: vocabulary.nearest_known(word, catalog[model]) for word in named}
        if alike:
            lines.append(unknown_words(catalog[model].title, alike, vocabulary.examples(catalog[model])))
    return lines


def notes(kept: Sequence[Note]) -> list[str]:
    """Private sentences for the notes on a command that runs."""
    idle = dict.fromkeys(f"`--{note.flag}`" for note in kept if note.kind is NoteKind.NO_MEANING)
    lines = []
    if idle:
        said = ngettext(
            "{flags} has no meaning here and changed nothing.",
            "{flags} have no meaning here and changed nothing.",
            len(idle),
        )
        lines.append(said.format(flags=listed(few([*idle]))))
    return lines + [_note(note) for note in kept if note.kind is not NoteKind.NO_MEANING]


def _note(note: Note) -> str:
    flag = f"--{note.flag} {note.detail}".strip() if note.flag else note.detail
    return _(_TOLD[note.kind]).format(
        name=f"`--{note.flag}`",
        detail=code(note.detail),
        plain=note.detail,
        whole=code(flag),
    )


def unknown_words(model: str, unknown: Mapping[str, str | None], known: Sequence[str]) -> str:
    """`unknown` maps each word to a known one that is written alike; `known` is a taste of what it knows."""
    words = listed([f"*{show_prompt(word, 60)}*" for word in unknown])
    alike = [f"*{near}*" for near in unknown.values() if near is not None]
    perhaps = _(" Did you mean {meant}?").format(meant=either(alike)) if alike else ""
    knows = _(" It knows {known}, …").format(known=_(", ").join(known)) if known else ""
    return _("{model} does not know {words}.{perhaps}{knows}").format(
        model=model, words=words, perhaps=perhaps, knows=knows
    )
