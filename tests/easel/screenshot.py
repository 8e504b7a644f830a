"""Draw the README's picture: `python -m tests.easel.screenshot docs/demo.png`."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.easel.demo_page import Demo, browser_page, button, expect_text, type_line, wait_for_pictures

PROMPT = "a red castle on green hills at night --ar 3:2"


def main(file: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        demo = Demo(Path(folder))
        try:
            with browser_page(width=1280, height=1180) as page:
                page.goto(demo.address())
                type_line(page, f"/imagine {PROMPT}")
                button(page, "U2")
                expect_text(page, "Image #2")
                wait_for_pictures(page, 2)
                page.mouse.move(640, 5)
                page.wait_for_timeout(1500)
                page.screenshot(path=file)
        finally:
            demo.stop()
    print(f"wrote {file}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
