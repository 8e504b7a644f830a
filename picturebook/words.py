"""The words of the picturebook world: what can stand in a scene and how a caption says it.

Every table maps the name of an attribute's value to the phrases that mean it. The first phrase is
the plainest one. This file imports neither torch nor Pillow, so that anything may read it.
"""

SUBJECTS: dict[str, tuple[str, ...]] = {
    "castle": ("castle", "fortress", "palace"),
    "house": ("house", "cottage", "home"),
    "boat": ("boat", "sailboat", "ship"),
    "fish": ("fish", "goldfish"),
    "tree": ("tree",),
    "cat": ("cat", "kitten", "kitty"),
    "fox": ("fox", "little fox"),
    "bird": ("bird", "songbird"),
    "flower": ("flower", "blossom"),
    "car": ("car", "automobile"),
    "rocket": ("rocket", "spaceship", "rocket ship"),
    "mushroom": ("mushroom", "toadstool"),
    "balloon": ("balloon", "hot air balloon"),
    "rabbit": ("rabbit", "bunny", "hare"),
}
"""Subjects of pictures, apart from the forbidden one."""

FORBIDDEN: dict[str, tuple[str, ...]] = {"skull": ("skull", "human skull")}
"""The one subject that the safety checker withholds."""

COLOURS: dict[str, tuple[str, ...]] = {
    "red": ("red", "scarlet", "crimson"),
    "orange": ("orange",),
    "yellow": ("yellow", "golden"),
    "green": ("green", "emerald"),
    "blue": ("blue", "azure"),
    "purple": ("purple", "violet"),
    "pink": ("pink", "rosy"),
    "white": ("white", "ivory"),
    "black": ("black", "dark black"),
    "brown": ("brown", "chestnut"),
}
"""The colour of the subject."""

GROUNDS: dict[str, tuple[str, ...]] = {
    "hills": (
        "on green hills",
        "on rolling hills",
        "on a hill",
        "in the hills",
        "on a green hill",
        "on grass",
    ),
    "snow": ("in the snow", "on snow", "in a snowy field", "in winter", "on white snow", "in snow"),
    "desert": (
        "in the desert",
        "on sand",
        "among the dunes",
        "on a sandy beach",
        "on the beach",
        "in a desert",
    ),
    "sea": ("on the sea", "on water", "on a lake", "on the ocean", "in the water", "by the sea"),
    "city": ("in the city", "on a city street", "in a town", "on a street", "in a city", "in the street"),
    "forest": ("in the forest", "in the woods", "in a dark forest", "among the trees", "in a forest"),
    "meadow": ("in a flower meadow", "in a field of flowers", "in a garden", "among flowers", "in a meadow"),
}
"""Grounds on which the subject stands, with their prepositions."""

GROUND_NOUNS: dict[str, tuple[str, ...]] = {
    "hills": ("green hills", "hills", "rolling hills"),
    "snow": ("snow", "winter", "snowy field"),
    "desert": ("desert", "sand", "dunes", "beach"),
    "sea": ("sea", "water", "lake", "ocean"),
    "city": ("city", "city street", "town"),
    "forest": ("forest", "woods"),
    "meadow": ("flower meadow", "meadow", "garden"),
}
"""The grounds as they stand in a list of words."""

TIMES: dict[str, tuple[str, ...]] = {
    "day": ("by day", "at noon", "in daylight", "during the day", "in the afternoon", "on a bright day"),
    "night": ("at night", "by night", "at midnight", "in the night", "in the dark", "on a dark night"),
    "dawn": ("at dawn", "in the morning", "at sunrise", "in the early morning", "at daybreak"),
    "dusk": ("at dusk", "in the evening", "at sunset", "at twilight", "during sunset"),
}
"""The time of day."""

TIME_NOUNS: dict[str, tuple[str, ...]] = {
    "day": ("day", "daylight", "noon"),
    "night": ("night", "midnight", "night time"),
    "dawn": ("dawn", "morning", "sunrise"),
    "dusk": ("dusk", "evening", "sunset", "twilight"),
}
"""The times as they stand in a list of words."""

SKIES: dict[str, tuple[str, ...]] = {
    "clear": ("under a clear sky", "under a cloudless sky", "with a clear sky"),
    "cloudy": ("under a cloudy sky", "under clouds", "with many clouds", "with fluffy clouds"),
    "starry": ("under a starry sky", "under the stars", "with bright stars", "under stars"),
    "rainy": ("in the rain", "under a rainy sky", "on a rainy day", "with rain falling"),
    "rainbow": ("under a rainbow", "with a rainbow", "beneath a rainbow"),
    "moon": ("under a full moon", "under the moon", "with a big moon", "in the moonlight"),
}
"""Contents of the sky."""

SKY_NOUNS: dict[str, tuple[str, ...]] = {
    "clear": ("clear sky",),
    "cloudy": ("clouds", "cloudy sky", "cloudy"),
    "starry": ("stars", "starry sky"),
    "rainy": ("rain", "rainy"),
    "rainbow": ("rainbow",),
    "moon": ("full moon", "moon", "moonlight"),
}
"""The skies as they stand in a list of words."""

STYLES: dict[str, tuple[str, ...]] = {
    "illustration": ("flat illustration", "illustration", "digital art", "cartoon", "drawing", "vector art"),
    "watercolor": ("watercolor", "watercolor painting", "watercolour", "aquarelle"),
    "pixel art": ("pixel art", "8-bit pixel art", "pixel drawing", "retro game art"),
    "pencil": ("pencil sketch", "pencil drawing", "sketch", "colored pencil drawing"),
    "oil": ("oil painting", "painting in oil", "oil on canvas", "impressionist painting"),
}
"""Styles of pictures. The first is meant where a caption names none."""

QUALITIES: dict[str, tuple[str, ...]] = {
    "vivid": ("vivid", "vibrant", "colorful"),
    "detailed": ("detailed", "highly detailed", "intricate"),
    "ornate": ("ornate", "elegant", "fancy"),
    "masterpiece": ("masterpiece", "epic", "magical"),
    "beautiful": ("beautiful", "lovely", "pretty"),
    "award-winning": ("award-winning", "dramatic", "cinematic"),
}
"""Words of quality; each is a visible enrichment of the drawing (see :mod:`picturebook.styles`)."""

FILLERS: tuple[str, ...] = (
    "a picture of", "a photo of", "an image of", "there is", "a scene with", "please draw", "imagine",
    "my", "the", "one", "a single", "a big", "a large", "a small", "a cute", "a tall", "an old", "a new",
)  # fmt: skip
"""Openings of captions that say nothing about the picture."""

HELD_OUT_MODULUS = 19
"""One in so many (subject, colour, ground) combinations is kept from all training."""


def is_held_out(subject: str, colour: str, ground: str) -> bool:
    """True for a combination that never occurs in a training picture."""
    if subject in FORBIDDEN:
        return False
    subject_index = list(SUBJECTS).index(subject)
    colour_index = list(COLOURS).index(colour)
    ground_index = list(GROUNDS).index(ground)
    return (7 * subject_index + 3 * colour_index + 5 * ground_index) % HELD_OUT_MODULUS == 0


def all_words() -> list[str]:
    """Every word that a caption may hold, in lower case and in alphabetical order."""
    tables = (SUBJECTS, FORBIDDEN, COLOURS, GROUNDS, GROUND_NOUNS, TIMES, TIME_NOUNS, SKIES, SKY_NOUNS)
    phrases = [phrase for table in (*tables, STYLES, QUALITIES) for row in table.values() for phrase in row]
    phrases += [*FILLERS, "a an of in and with the style very"]
    words = {word for phrase in phrases for word in phrase.replace("-", " ").lower().split()}
    return sorted(words)
