"""The describer: a small captioning model in transformers' classes, for the world of the drawn scenes."""

from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    CLIPImageProcessor,
    CLIPVisionConfig,
    CLIPVisionModel,
    GPT2Config,
    GPT2LMHeadModel,
    PreTrainedTokenizerFast,
    VisionEncoderDecoderModel,
)

from picturebook.export import save_half
from picturebook.safety import new_processor
from picturebook.words import all_words

LENGTH = 32
"""Tokens of a description at most, the end included."""

WIDTH = 128
_SPECIAL = ("<pad>", "<start>", "<end>", "<unknown>")


def new_tokenizer() -> PreTrainedTokenizerFast:
    """A token for every word of the captions, and one for the comma."""
    # Hyphens stay within words here: "8-bit" is said, not read.
    spelled = ["8-bit", "award-winning", ","]
    vocabulary = {token: index for index, token in enumerate([*_SPECIAL, *spelled, *all_words()])}
    words = Tokenizer(models.WordLevel(vocabulary, unk_token="<unknown>"))  # noqa: S106
    words.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\w-]+|,"), "removed", invert=True)
    words.decoder = decoders.WordPiece(cleanup=True)
    pad, start, end, unknown = _SPECIAL
    return PreTrainedTokenizerFast(
        tokenizer_object=words,
        pad_token=pad,
        bos_token=start,
        eos_token=end,
        unk_token=unknown,
        model_max_length=LENGTH,
    )


def new_describer(vision: CLIPVisionConfig) -> VisionEncoderDecoderModel:
    """An untrained describer that sees by a network of this form and speaks by two layers of GPT-2's."""
    tokenizer = new_tokenizer()
    language = GPT2Config(
        vocab_size=len(tokenizer),
        n_positions=LENGTH,
        n_embd=WIDTH,
        n_layer=2,
        n_head=4,
        n_inner=2 * WIDTH,
        add_cross_attention=True,
        is_decoder=True,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    model = VisionEncoderDecoderModel(encoder=CLIPVisionModel(vision), decoder=GPT2LMHeadModel(language))
    for config in (model.config, model.generation_config):
        config.decoder_start_token_id = tokenizer.bos_token_id
        config.bos_token_id = tokenizer.bos_token_id
        config.eos_token_id = tokenizer.eos_token_id
        config.pad_token_id = tokenizer.pad_token_id
    return model


def new_image_processor() -> CLIPImageProcessor:
    """Pictures are squeezed whole into the safety checker's square."""
    return new_processor()


def save(model: VisionEncoderDecoderModel, folder: Path) -> None:
    """Write the folder as transformers' Auto classes read it, the weights in float16."""
    save_half(model, folder)
    new_tokenizer().save_pretrained(folder)
    new_image_processor().save_pretrained(folder)
