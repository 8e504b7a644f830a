"""What a catalog may say: Midjourney's versions, several upscalers, LoRAs."""

from __future__ import annotations

from pathlib import Path

import pytest

from storage import catalog, model_families
from storage.errors import CatalogError


def written(folder: Path, **versions: str) -> Path:
    tables = (
        f'[models.{name}]\nsource = "x"\nsizes = [[64, 64]]\nversions = {carried}\n'
        for name, carried in versions.items()
    )
    path = folder / "catalog.toml"
    path.write_text("\n".join(tables))
    return path


def test_a_version_stands_for_the_first_model_that_carries_it(tmp_path: Path) -> None:
    models = catalog.load(written(tmp_path, one='["6.1", "niji 6"]', two='["6.1", "7", "5.0"]'))
    assert models.versions() == {6.1: "one", 7.0: "two", 5.0: "two"}
    assert models.versions(niji=True) == {6.0: "one"}


@pytest.mark.parametrize("version", ["latest", "niji", "6.1.1", "niji six", "V7", ""])
def test_a_version_that_is_none_is_told(tmp_path: Path, version: str) -> None:
    with pytest.raises(CatalogError, match=r"Model 'one' in .*: versions"):
        catalog.load(written(tmp_path, one=f'["{version}"]'))


def test_the_shipped_catalog_carries_todays_versions() -> None:
    assert set(catalog.load().versions()) >= {7.0, 8.1}


def one(folder: Path, *lines: str) -> Path:
    path = folder / "catalog.toml"
    path.write_text("\n".join(["[models.one]", 'source = "x"', "sizes = [[64, 64]]", *lines]))
    return path


def test_the_first_of_several_upscalers_is_the_default(tmp_path: Path) -> None:
    (tmp_path / "crisp").mkdir()
    table = 'upscalers = { soft = { source = "owner/soft" }, crisp = { source = "crisp" } }'
    entry = catalog.load(one(tmp_path, table))["one"]
    chosen = [entry.upscaler_named(name) for name in (None, "soft", "crisp", "gone")]
    crisp = str(tmp_path / "crisp")
    assert [each and each.source for each in chosen] == ["owner/soft", "owner/soft", crisp, "owner/soft"]


def test_one_upscaler_needs_no_name(tmp_path: Path) -> None:
    entry = catalog.load(one(tmp_path, 'upscaler = { source = "owner/soft" }'))["one"]
    assert entry.upscalers == {}
    assert entry.upscaler_named(None) == entry.upscaler_named("any") == entry.upscaler
    assert catalog.load(one(tmp_path))["one"].upscaler_named(None) is None


def test_loras_lie_beside_the_catalog_or_on_the_hub(tmp_path: Path) -> None:
    (tmp_path / "ink.safetensors").write_bytes(b"")
    tables = [
        "[models.one.loras]",
        'ink = "ink.safetensors"',
        'oil = { source = "owner/oil", file = "oil.safetensors", trigger = "in oils" }',
    ]
    loras = catalog.load(one(tmp_path, *tables))["one"].loras
    assert [*loras] == ["ink", "oil"]
    assert loras["ink"].source == str(tmp_path / "ink.safetensors")
    assert (loras["oil"].source, loras["oil"].file, loras["oil"].trigger) == (
        "owner/oil",
        "oil.safetensors",
        "in oils",
    )


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ('loras = { "a b" = "x" }', "loras"),
        ("loras = { ink = 3 }", "loras.ink"),
        ('loras = { ink = { path = "x" } }', "loras.ink: there is no key `path`"),
        ('upscaler = { source = "x" }\nupscalers = { a = { source = "y" } }', "one `upscaler` or several"),
    ],
)
def test_what_is_wrong_with_them_is_told(tmp_path: Path, table: str, said: str) -> None:
    with pytest.raises(CatalogError, match=rf"Model 'one' in .*: .*{said}"):
        catalog.load(one(tmp_path, table))


DRAFT = "draft = { num_inference_steps = 4,"
FAULTS = {
    "num_inference_steps = 101": r"num_inference_steps \(101\) is more than max_steps \(100\)",
    "max_steps = 8": r"num_inference_steps \(20\) is more than max_steps \(8\)",
    "num_inference_steps = 0": r"num_inference_steps: .* greater than or equal to 1 \(it is 0\)",
    "max_steps = 1001": "max_steps: .* less than or equal to 1000",
    "guidance_scale = -3": r"guidance_scale: .* greater than or equal to 0 \(it is -3\)",
    "guidance_scale = nan": "guidance_scale: .* finite number",
    "guidance_scale = inf": "guidance_scale: .* finite number",
    "stylize = 1001": "stylize: .* less than or equal to 1000",
    "strength_strong = 7": "strength_strong: .* less than or equal to 1",
    "strength_subtle = 0": "strength_subtle: .* greater than 0",
    "display_scale = 0": "display_scale: .* greater than or equal to 1",
    'scheduler = "dpmpp"': r"scheduler: .*'ddim'.*\(it is 'dpmpp'\)",
    'defualt = "one"': r"there is no key `defualt`",
    "num_inference_step = 3": "there is no key `num_inference_step`: did you mean `num_inference_steps`?",
    'title = ""': "title: .* at least 1 character",
    'title = "two\\nlines"': "title: it is to be one line",
    'name = "two"': "its name is its table's",
    'loras = { Ink = "a", ink = "b" }': "loras: members cannot tell 'ink' from 'Ink'",
    'loras = { ink = "ink.ckpt" }': r"loras\.ink\.source: ink\.ckpt is a pickle.*easel models convert",
    'loras = { ink = { source = "a/b", file = "ink.pt" } }': r"loras\.ink\.file: ink\.pt is a pickle",
    "draft = {}": r"draft\.num_inference_steps: Field required",
    "draft = { num_inference_steps = 101 }": r"draft\.num_inference_steps \(101\) is more than max_steps",
    f'{DRAFT} scheduler = "lcn" }}': r"draft\.scheduler: .*'ddim'.*\(it is 'lcn'\)",
    f"{DRAFT} guidance_scale = -1 }}": r"draft\.guidance_scale: .* greater than or equal to 0",
    f"{DRAFT} loras = {{ lcm = 1 }} }}": r"draft\.loras: 'lcm' is none of .*there are none",
    f'loras = {{ ink = "a" }}\n{DRAFT} loras = {{ lcm = 1 }} }}': r"draft\.loras: 'lcm' .*\(ink\)",
    'always_loras = { it = { source = "a", weight = 3 } }': r"always_loras\.it\.weight: .* equal to 2",
    'embeddings = { it = "it.pt" }': r"embeddings\.it\.source: it\.pt is a pickle.*easel models convert",
    'describer = { source = "" }': r"describer\.source: .* at least 1 character",
}


@pytest.mark.parametrize(("line", "said"), FAULTS.items(), ids=str)
def test_what_no_prompt_could_be_drawn_with_is_told_at_loading(tmp_path: Path, line: str, said: str) -> None:
    with pytest.raises(CatalogError, match=rf"Model 'one' in .*catalog\.toml: .*{said}"):
        catalog.load(one(tmp_path, line))


@pytest.mark.parametrize(
    "sizes", ["[[-64, 0]]", "[[65, 64]]", "[[20000, 64]]", "[[64]]", "[]", "64", "[[0, 64]]"]
)
def test_sizes_that_no_model_draws_are_told(tmp_path: Path, sizes: str) -> None:
    path = tmp_path / "catalog.toml"
    path.write_text(f'[models.one]\nsource = "x"\nsizes = {sizes}\n')
    with pytest.raises(CatalogError, match=r"Model 'one' in .*: sizes"):
        catalog.load(path)


MODEL = '[models.one]\nsource = "x"\nsizes = [[64, 64]]\n'
FILES = {
    b"\xef\xbb\xbf" + MODEL.encode(): None,
    MODEL.replace("\n", "\r\n").encode(): None,
    MODEL.encode("utf-16"): "is not UTF-8 text",
    (MODEL + "# Schloß").encode("latin-1"): r"is not UTF-8 text \(line 4\): save it as UTF-8",
    b'[models]\na = "path"': r"Model 'a' in .* is 'path' and no table: write \[models\.a\]",
    b"models = 5": r"`models` is to be tables: \[models\.NAME\]",
    b"": "names no model",
    ("defualt = 'one'\n" + MODEL).encode(): "there is no key `defualt`: did you mean `default`?",
    ("default = 'two'\n" + MODEL).encode(): "has no model 'two', its default; it has one",
    ("default = ['one']\n" + MODEL).encode(): "has no model",
    (MODEL + MODEL.replace("one", "One")).encode(): "members cannot tell 'One' from 'one'",
    MODEL.replace("one", '"--"').encode(): "members cannot tell",
    MODEL.replace("one", f'"{"x" * 101}"').encode(): "name: .* at most 100",
    ("x = " + "[" * 5000 + "]" * 5000).encode(): "is not TOML",
    b"x = " + b"1" * 5000: "is not TOML",
}


@pytest.mark.parametrize(("data", "said"), FILES.items(), ids=range(len(FILES)))
def test_a_file_is_read_or_told_what_is_wrong_with_it(tmp_path: Path, data: bytes, said: str | None) -> None:
    path = tmp_path / "catalog.toml"
    path.write_bytes(data)
    if said is None:
        assert catalog.load(path).default == "one"
        return
    with pytest.raises(CatalogError, match=said) as told:
        catalog.load(path)
    assert str(path) in str(told.value)


def test_a_relative_catalog_finds_what_lies_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ink.safetensors").write_bytes(b"")
    one(tmp_path, 'loras = { ink = "ink.safetensors", other = "./gone" }', 'vocabulary = "words.txt"')
    monkeypatch.chdir(tmp_path)
    entry = catalog.load(Path("catalog.toml"))["one"]
    assert [lora.source for lora in entry.loras.values()] == [
        str(tmp_path / "ink.safetensors"),
        str(tmp_path / "gone"),
    ]
    assert entry.vocabulary == str(tmp_path / "words.txt")


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """A family that runs two samplers alone."""
    line = model_families.ModelFamily("nowhere:Few", ("heun", "euler"), "FewPipeline")
    monkeypatch.setitem(model_families.FAMILIES, "few", line)


@pytest.mark.usefixtures("few")
def test_a_family_brings_its_samplers_and_the_first_is_the_default(tmp_path: Path) -> None:
    entry = catalog.load(one(tmp_path, 'family = "few"'))["one"]
    assert (entry.samplers, entry.scheduler) == (("heun", "euler"), "heun")
    assert catalog.load(one(tmp_path, 'family = "few"', 'scheduler = "euler"'))["one"].scheduler == "euler"
    assert catalog.load(one(tmp_path))["one"].scheduler == "ddim"


@pytest.mark.usefixtures("few")
def test_a_folder_that_says_its_family_needs_no_other_word_for_it(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "model_index.json").write_text('{"_class_name": "FewPipeline"}')
    assert catalog.load(one(tmp_path, 'scheduler = "euler"'))["one"].samplers == ("heun", "euler")


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (['family = "few"', 'scheduler = "ddim"'], "ddim is none of .*heun, euler"),
        (['family = "sdlx"'], "no family 'sdlx': did you mean 'sdxl'"),
        (['family = "flux"'], "no family 'flux': there are sd, sdxl, zimage, flux2_klein, qwen_image, few"),
    ],
)
def test_a_family_or_sampler_that_is_none_is_told(tmp_path: Path, lines: list[str], said: str) -> None:
    with pytest.raises(CatalogError, match=said):
        catalog.load(one(tmp_path, *lines))


@pytest.mark.parametrize(
    ("pipeline", "family"),
    [
        ("StableDiffusionPipeline", "sd"),
        ("StableDiffusionInpaintPipeline", "sd"),
        ("StableDiffusionXLPipeline", "sdxl"),
        ("StableDiffusion3Pipeline", None),
        ("FluxPipeline", None),
    ],
)
def test_a_family_is_known_by_its_pipelines(pipeline: str, family: str | None) -> None:
    assert model_families.of_pipeline(pipeline) == family
