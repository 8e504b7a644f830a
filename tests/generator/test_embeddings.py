"""Textual Inversion: its names draw what diffusers' pipeline draws, in every layout, for who types them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from easel import conversion
from generator.conditioning.textual_inversion import NamedVectors
from generator.conditioning.tokens import tokenize
from generator.engine.engine import Engine
from generator.families import embedding_files, loading
from generator.families.sdxl import StableDiffusionXL
from prompts import vocabulary
from prompts.parser import parse
from storage.catalog import Catalog
from storage.catalog_companions import EmbeddingEntry, LoraEntry
from storage.catalog_model import ModelEntry
from storage.contract import GenerationRequest, Lora, Phrase
from storage.errors import CatalogError
from tests.generator import tiny
from tests.generator.reference import Pipeline, difference
from tests.generator.sharing import drawn_together

CPU = torch.device("cpu")
WIDTH = tiny.TEXT_WIDTH
Layout = dict[str, Tensor]


def vectors(count: int, seed: int = 0) -> Tensor:
    """As long as a tiny text encoder's own are."""
    return torch.randn(count, WIDTH, generator=torch.Generator().manual_seed(seed))


def entry(folder: Path, **fields: Any) -> ModelEntry:
    return ModelEntry(name="m", title="M", source=str(folder), sizes=((64, 64),), **fields)


def asked(prompt: str, **wish: Any) -> GenerationRequest:
    fields = {"width": 64, "height": 64, "seed": 7, "num_inference_steps": 3, "num_images_per_prompt": 2}
    return GenerationRequest.model_validate(fields | {"prompt": prompt} | wish)


def written(file: Path, layout: Layout) -> EmbeddingEntry:
    save_file(layout, file)
    return EmbeddingEntry(source=str(file))


def by_diffusers(folder: Path, sides: Sequence[Tensor], request: GenerationRequest) -> Sequence[Any]:
    reference = Pipeline(folder)
    pipeline = reference.pipeline
    for number, side in zip(("", "_2"), sides, strict=False):
        pipeline.load_textual_inversion(
            {"myname": side},
            token="myname",
            tokenizer=getattr(pipeline, f"tokenizer{number}"),
            text_encoder=getattr(pipeline, f"text_encoder{number}"),
        )
    return reference.draw(request)


WISHES = [
    asked("a castle in the style of myname, at night"),
    asked("MyName", negative_prompt="fog"),
    asked("a boat", negative_prompt="myname, fog"),
    asked("a boat embedding:myname"),
]


def plainly(request: GenerationRequest) -> GenerationRequest:
    """As diffusers is to be asked for it."""
    return request.changed(prompt=request.prompt.replace("embedding:", "").replace("MyName", "myname"))


@pytest.mark.parametrize("count", [1, 3])
def test_a_name_is_read_as_the_pipeline_reads_it(tmp_path: Path, sd_folder: Path, count: int) -> None:
    own = written(tmp_path / "it.safetensors", {"emb_params": vectors(count)})
    with Engine.open(
        str(sd_folder), device="cpu", entry=entry(sd_folder, embeddings={"MyName": own})
    ) as engine:
        for wish in WISHES if count > 1 else WISHES[:1]:
            drawn = engine.submit(wish).result()
            assert difference(drawn, by_diffusers(sd_folder, [vectors(count)], plainly(wish))) <= 1
            assert difference(drawn, Pipeline(sd_folder).draw(plainly(wish))) > 8, "it is read as a word"


@pytest.mark.parametrize(
    "names",
    [
        ("clip_l", "clip_g"),
        pytest.param(("text_encoders_0", "text_encoders_1"), marks=pytest.mark.exhaustive),
    ],
)
def test_xl_reads_it_by_both_text_encoders(tmp_path: Path, sdxl_folder: Path, names: tuple[str, str]) -> None:
    sides = [vectors(2), vectors(2, seed=1)]
    own = written(tmp_path / "it.safetensors", dict(zip(names, sides, strict=True)))
    with Engine.open(
        str(sdxl_folder), device="cpu", entry=entry(sdxl_folder, embeddings={"myname": own})
    ) as engine:
        drawn = engine.submit(WISHES[0]).result()
    assert difference(drawn, by_diffusers(sdxl_folder, sides, WISHES[0])) <= 1
    assert difference(drawn, by_diffusers(sdxl_folder, sides[::-1], WISHES[0])) > 8


@pytest.mark.parametrize(
    "layout",
    [
        {"emb_params": vectors(2)},
        {"<any-token>": vectors(2)},
        {"string_to_param.*": vectors(2)},
        {"emb_params": vectors(2).half().float().half()},
    ],
    ids=["A1111's", "diffusers'", "converted before", "in half precision"],
)
def test_every_layout_of_one_text_encoder_is_the_same(
    tmp_path: Path, sd_folder: Path, layout: Layout
) -> None:
    own = entry(sd_folder, embeddings={"it": written(tmp_path / "it.safetensors", layout)})
    family = loading.complete(loading.load(str(sd_folder), CPU), own)
    (read,) = family.encode(["it"])
    same = entry(sd_folder, embeddings={"it": written(tmp_path / "same.safetensors", {"x": vectors(2)})})
    (expected,) = loading.complete(loading.load(str(sd_folder), CPU), same).encode(["it"])
    torch.testing.assert_close(
        read.tokens, expected.tokens, atol=2e-2 if layout_is_half(layout) else 0, rtol=0
    )


def layout_is_half(layout: Layout) -> bool:
    return any(each.dtype == torch.float16 for each in layout.values())


def test_a_pickle_of_the_web_interface_is_converted(tmp_path: Path, sd_folder: Path) -> None:
    for name, kind in (("plain", dict), ("old", torch.nn.ParameterDict)):
        table = kind({"*": torch.nn.Parameter(vectors(2))})
        told = {"string_to_token": {"*": 265}, "string_to_param": table, "name": "My Name", "step": 500}
        torch.save(told | {"sd_checkpoint": None}, tmp_path / f"{name}.pt")
        (made,) = conversion.convert(tmp_path / f"{name}.pt")
        assert made == tmp_path / f"{name}.safetensors"
        with safe_open(made, framework="pt") as opened:
            assert opened.metadata() == {"format": "pt", "name": "My Name"}
            assert list(opened.keys()) == ["emb_params"]
            assert torch.equal(opened.get_tensor("emb_params"), vectors(2))
        own = entry(sd_folder, embeddings={"it": EmbeddingEntry(source=str(made))})
        assert loading.complete(loading.load(str(sd_folder), CPU), own).encode(["it"])


def test_nobody_elses_picture_has_anything_of_it(tmp_path: Path, sd_folder: Path) -> None:
    own = entry(sd_folder, embeddings={"it": written(tmp_path / "it.safetensors", {"x": vectors(2)})})
    strangers = [asked("a cat"), asked("it, a cat"), asked("a boat", negative_prompt="fog", seed=9)]
    taught = loading.complete(loading.load(str(sd_folder), CPU), own)
    together = drawn_together(taught, *strangers)
    untaught = loading.load(str(sd_folder), CPU)
    alone = drawn_together(untaught, *strangers)
    assert torch.equal(together[0], alone[0])
    assert torch.equal(together[2], alone[2])
    assert (together[1] - alone[1]).abs().max() > 0.1


def test_it_goes_with_loras(tmp_path: Path, sd_folder: Path) -> None:
    lora = tiny.make_lora(tmp_path / "lora.safetensors", sd_folder)
    own = written(tmp_path / "it.safetensors", {"x": vectors(2)})
    model = entry(sd_folder, embeddings={"myname": own}, loras={"ink": LoraEntry(source=str(lora))})
    request = WISHES[0].changed(loras=(Lora(name="ink"),))
    with Engine.open(str(sd_folder), device="cpu", entry=model) as engine:
        drawn = engine.submit(request).result()
    reference = Pipeline(sd_folder)
    reference.pipeline.load_textual_inversion({"myname": vectors(2)}, token="myname")
    reference.pipeline.load_lora_weights(str(lora))
    assert difference(drawn, reference.draw(request)) <= 1


@torch.inference_mode()
def test_the_end_of_a_text_is_found_behind_it_in_configurations_of_old(
    tmp_path: Path, sdxl_folder: Path
) -> None:
    """Those have a wrong `eos_token_id`, and the end is the token of the largest id."""
    layout = {"clip_l": vectors(2), "clip_g": vectors(2, seed=1)}
    model = entry(sdxl_folder, embeddings={"it": written(tmp_path / "it.safetensors", layout)})
    family = loading.complete(loading.load(str(sdxl_folder), CPU), model)
    assert isinstance(family, StableDiffusionXL)
    (expected,) = family.encode(["a cat, it"])
    family.text_encoders[1].text_model.eos_token_id = 2
    (found,) = family.encode(["a cat, it"])
    assert found.pooled is not None
    assert expected.pooled is not None
    assert torch.equal(found.pooled, expected.pooled)


NAMED = NamedVectors({"style": 3, "style-2": 2, "long": 40})
STYLE, SECOND, LONG = [-1, -2, -3], [-4, -5], list(range(-6, -46, -1))


def ids_of(text: Any) -> list[list[int]]:
    return [
        [each for each in row if each < 0] for row in tokenize(tiny.tokenizer(), text, NAMED).ids.tolist()
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("style", STYLE),
        ("a STYLE, b", STYLE),
        ("(style)", STYLE),
        ("style style-2 style", [*STYLE, *SECOND, *STYLE]),
        ("style-22", STYLE),
        ("embedding:style-2", SECOND),
        ("lifestyle styles style_2 2style", []),
        ("城style", []),
        ("", []),
    ],
)
def test_a_name_is_a_word_and_the_longest_one_there(text: str, expected: list[int]) -> None:
    assert ids_of(text) == [expected]


def test_the_text_around_it_is_read_as_by_itself() -> None:
    tokens = tiny.tokenizer()
    around = [tokenize(tokens, text).ids[0] for text in ("ab", ", c")]
    whole = tokenize(tokens, "ab style, c", NAMED).ids[0].tolist()
    assert whole[1:8] == [*around[0][1:3].tolist(), *STYLE, *around[1][1:3].tolist()]


def test_its_vectors_are_meant_as_strongly_as_its_phrase() -> None:
    text = (Phrase(text="a "), Phrase(text="style", emphasis=1.3), Phrase(text=" b"))
    found = tokenize(tiny.tokenizer(), text, NAMED)
    assert found.ids[0, 2:5].tolist() == STYLE
    torch.testing.assert_close(found.emphasis[0, :7], torch.tensor([1, 1, 1.3, 1.3, 1.3, 1, 1]))


@pytest.mark.parametrize("before", range(70, 78))
def test_its_vectors_stand_in_one_chunk(before: int) -> None:
    text = "a" * before + " style" + " b" * 10
    for name, ids in (("style", STYLE), ("long", LONG)):
        chunks = ids_of(text.replace("style", name))
        assert ids in chunks
        assert sum(map(len, chunks)) == len(ids)


def test_several_fill_a_chunk_one_after_the_other() -> None:
    assert ids_of("long long style") == [LONG, [*LONG, *STYLE]]


@pytest.mark.parametrize(
    ("layout", "reason"),
    [
        ({"a": vectors(1), "b": vectors(1)}, "it holds 2 tensors"),
        ({"clip_l": vectors(1), "clip_g": vectors(1, seed=1)}, "made for the two text encoders"),
        ({"emb_params": torch.randn(2, 768)}, r"768 numbers.* 32 \(it was made for Stable Diffusion 1\.x\)"),
        ({"emb_params": torch.randn(2, 33)}, r"33 numbers, and this model's text encoder reads 32\."),
        ({"emb_params": torch.randn(76, WIDTH)}, "it has 76 vectors, and a text encoder reads 1 to 75"),
        ({"emb_params": torch.randn(2, 3, WIDTH)}, "tensor of 2×3×32 numbers is no list of vectors"),
        ({"emb_params": torch.ones(2, WIDTH, dtype=torch.long)}, "is no list of vectors"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_and_named(tmp_path: Path, layout: Layout, reason: str) -> None:
    own = written(tmp_path / "it.safetensors", layout)
    with pytest.raises(CatalogError, match=rf"The embedding at .*it\.safetensors cannot be used: .*{reason}"):
        embedding_files.vectors(own, [WIDTH])


@pytest.mark.parametrize(
    ("layout", "reason"),
    [
        ({"emb_params": vectors(1)}, "made for one text encoder, and this model has 2"),
        ({"clip_l": vectors(1), "clip_g": vectors(2)}, "it has 1 vectors for one text encoder and 2"),
    ],
)
def test_what_does_not_fit_xl_is_told(tmp_path: Path, layout: Layout, reason: str) -> None:
    own = written(tmp_path / "it.safetensors", layout)
    with pytest.raises(CatalogError, match=rf"The embedding at .* cannot be used: .*{reason}"):
        embedding_files.vectors(own, [WIDTH, WIDTH])


def test_one_that_does_not_fit_keeps_the_model_from_loading(tmp_path: Path, sd_folder: Path) -> None:
    own = written(tmp_path / "it.safetensors", {"emb_params": torch.randn(2, 33)})
    with pytest.raises(CatalogError, match=r"The embedding at .*it\.safetensors cannot be used: "):
        Engine.open(str(sd_folder), device="cpu", entry=entry(sd_folder, embeddings={"it": own}))


@pytest.mark.parametrize(
    "name", ["easynegative", "bad_prompt_version2", "ng_deepnegative_v1_75t", "by-bad-artist-neg", "x.v1.3"]
)
def test_names_come_through_the_prompt_language(name: str) -> None:
    entries = {name: EmbeddingEntry(source="nowhere")}
    models = Catalog(default="m", models={"m": entry(Path("nowhere"), embeddings=entries)})
    parsed = parse(f"a fox, {name}, ({name}:1.2) --no {name}, fog", models)
    assert parsed.notes == ()
    assert parsed.request.prompt == f"a fox, {name}, {name}"
    assert parsed.request.negative_prompt == f"{name}, fog"
    for text in (parsed.request.prompt, parsed.request.negative_prompt):
        assert any(ids for _, _, ids in NamedVectors({name: 1}).parted(text))


def test_a_small_models_vocabulary_has_them_too(tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("fox\nred\n")
    entries = {"bad_hands-5": EmbeddingEntry(source="nowhere")}
    known, unknown = (
        entry(Path("nowhere"), vocabulary=str(tmp_path / "words.txt"), embeddings=each)
        for each in (entries, {})
    )
    prompt = "a fox, Bad_Hands-5"
    assert vocabulary.unknown_words(prompt, known) == ()
    assert vocabulary.unknown_words(prompt, unknown) == ("bad", "hands", "5")
    assert vocabulary.unknown_words(f"{prompt}, castle", known) == ("castle",)
    assert [vocabulary.is_all_unknown("bad_hands-5", each) for each in (known, unknown)] == [False, True]
    assert [each.knows("bad_hands-5,") for each in (known, unknown)] == [True, False]
