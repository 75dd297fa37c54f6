"""Copy the browser libraries the console serves from node_modules into console/static.

Run by hand when a version moves, then commit the result; nothing here runs in production:

    npm install --prefix DIR $(awk '{print $1 "@" $2}' console/static/vendor/*/VERSION)
    python tools/vendor_assets.py DIR/node_modules

Every library lands in console/static/vendor/<name>/ with its LICENSE and a VERSION line. Source map
references are cut, because the maps stay behind and the browser would ask for them in vain.
"""

import json
import re
import sys
from pathlib import Path
from xml.etree import ElementTree

STATIC = Path(__file__).resolve().parent.parent / "console" / "static"

#: folder under vendor/ -> npm package and the files we serve from it
LIBRARIES = {
    "tabler": ("@tabler/core", ["dist/css/tabler.min.css", "dist/js/tabler.min.js"]),
    "tom-select": ("tom-select", ["dist/css/tom-select.min.css", "dist/js/tom-select.complete.min.js"]),
    "sortable": ("sortablejs", ["Sortable.min.js"]),
    "idiomorph": ("idiomorph", ["dist/idiomorph.min.js"]),
    "inter": (
        "@fontsource-variable/inter",
        [
            f"files/inter-{subset}-wght-normal.woff2"
            for subset in ("latin", "latin-ext", "cyrillic", "cyrillic-ext")
        ],
    ),
    # The same letters as whole fonts, for PDF; served to nobody.
    "inter-pdf": (
        "@expo-google-fonts/inter",
        ["400Regular/Inter_400Regular.ttf", "600SemiBold/Inter_600SemiBold.ttf"],
    ),
}

#: Tabler outline icons; a page that needs another adds its name here and runs this script again
ICONS = """
    layout-dashboard calendar-event receipt bell mail send brand-telegram webhook clock clock-play
    history hourglass ticket users user user-plus user-check user-x user-star sailboat kayak armchair
    building building-community phone at id-badge key lock shield-check cash coin file file-text files photo
    upload download printer search filter adjustments-horizontal arrow-up arrow-down arrow-right
    arrow-back-up chevron-down chevron-left chevron-right chevrons-left chevrons-right dots plus minus
    x check checks trash pencil eye eye-off copy external-link link refresh rotate grip-vertical star
    heart sun moon device-desktop language logout menu-2 command keyboard info-circle alert-triangle
    alert-circle circle-check circle-x help-circle ban message messages clipboard-list list-details
    table chart-bar player-play player-pause wand arrows-shuffle layout-sidebar-right inbox login
    scale
"""

MIT = """The MIT License (MIT)

{copyright}

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and
associated documentation files (the "Software"), to deal in the Software without restriction,
including without limitation the rights to use, copy, modify, merge, publish, distribute,
sublicense, and/or sell copies of the Software, and to permit persons to whom the Software is
furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial
portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT
NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND
NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES
OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN
CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
"""
SOURCE_MAP = re.compile(rb"\n?(//# sourceMappingURL=\S+|/\*# sourceMappingURL=\S+ \*/)\s*$")
SVG = "{http://www.w3.org/2000/svg}"


def copy_library(modules: Path, folder: str, package: str, files: list[str]) -> str:
    """Copy one package's files, licence and version; return the line that names what was copied."""
    source = modules / package
    target = STATIC / "vendor" / folder
    target.mkdir(parents=True, exist_ok=True)
    manifest = json.loads((source / "package.json").read_text())
    for name in files:
        (target / Path(name).name).write_bytes(SOURCE_MAP.sub(b"\n", (source / name).read_bytes()))
    licences = [path for path in source.iterdir() if path.stem.upper().startswith("LICENSE")]
    if licences:
        licence = "\n".join(path.read_text() for path in sorted(licences))
    else:  # @tabler/core ships no licence file: the banner of its stylesheet names the holders
        banner = (source / files[0]).read_text()[:600]
        licence = MIT.format(copyright="\n".join(re.findall(r"Copyright [^\n]+", banner)))
    (target / "LICENSE").write_text(licence)
    version = f"{manifest['name']} {manifest['version']} {manifest['license']}"
    (target / "VERSION").write_text(version + "\n")
    return version


def build_sprite(modules: Path) -> None:
    """Write icons.svg: one <symbol> per icon, to be drawn with <use href="icons.svg#name">."""
    source = modules / "@tabler/icons"
    version = json.loads((source / "package.json").read_text())["version"]
    symbols = []
    for name in sorted(set(ICONS.split())):
        tree = ElementTree.parse(source / "icons" / "outline" / f"{name}.svg").getroot()
        shapes = [
            f"<{node.tag.removeprefix(SVG)} "
            + " ".join(f'{key}="{value}"' for key, value in node.attrib.items())
            + "/>"
            for node in tree
            if node.get("stroke") != "none"
        ]
        symbols.append(f'<symbol id="{name}" viewBox="0 0 24 24">{"".join(shapes)}</symbol>')
    licence = f"Tabler Icons {version}, MIT, Copyright (c) 2020 Pawel Kuna, https://tabler.io/icons"
    (STATIC / "icons.svg").write_text(
        f'<!-- {licence} -->\n<svg xmlns="http://www.w3.org/2000/svg">\n' + "\n".join(symbols) + "\n</svg>\n"
    )
    folder = STATIC / "vendor" / "tabler-icons"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "LICENSE").write_text((source / "LICENSE").read_text())
    (folder / "VERSION").write_text(f"@tabler/icons {version} MIT, in ../../icons.svg\n")


def main() -> None:
    """Copy everything; the one argument is a node_modules folder."""
    if len(sys.argv) != 2:
        sys.exit("usage: python tools/vendor_assets.py NODE_MODULES")
    modules = Path(sys.argv[1])
    for folder, (package, files) in LIBRARIES.items():
        print(copy_library(modules, folder, package, files))
    build_sprite(modules)
    print(f"icons.svg: {len(set(ICONS.split()))} icons")


if __name__ == "__main__":
    main()
