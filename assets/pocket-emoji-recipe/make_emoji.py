"""Renders the Noto Color Emoji font into captioned pictures, the data of pocket-emoji.

Pillow; Debian's fonts-noto-color-emoji (SIL OFL 1.1) and unicode-data
python make_emoji.py OUT_DIR SIZE

Writes OUT_DIR/NNNN.png (white background) and OUT_DIR/metadata.csv (filename,prompt), one picture an emoji: animals,
plants, food, weather, transport, clothing, tools, sport, buildings and hearts, about 560 in all.
"""
import csv, os, re, sys
from PIL import Image, ImageDraw, ImageFont

FONT = "/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf"
NAMES = "/usr/share/unicode/emoji/emoji-test.txt"
KEEP = {"sky & weather"} | set("""animal-mammal animal-bird animal-bug animal-marine animal-reptile animal-amphibian
plant-flower plant-other food-fruit food-vegetable food-prepared food-asian food-marine food-sweet drink dishware
transport-ground transport-air transport-water musical-instrument clothing tool sport place-building heart""".split())


def emoji():  # each emoji with its name and subgroup; variants of skin and hair are left out
    subgroup = ""
    for line in open(NAMES, encoding="utf8"):
        if line.startswith("# subgroup:"): subgroup = line.split(":")[1].strip()
        match = re.match(r"([0-9A-F ]+?)\s*; fully-qualified\s*# (\S+) E[\d.]+ (.+)", line)
        if not match or subgroup not in KEEP: continue
        codes, name = [int(code, 16) for code in match[1].split()], match[3].strip()
        if any(0x1F3FB <= code <= 0x1F3FF for code in codes) or "hair" in name or "bald" in name: continue
        yield "".join(map(chr, codes)), name, subgroup


def picture(text, font, size):  # cropped, centred on white, with a margin; None where the font has no glyph
    glyph = Image.new("RGBA", (136, 128), (255, 255, 255, 0))
    ImageDraw.Draw(glyph).text((0, 0), text, font=font, embedded_color=True)
    box = glyph.getbbox()
    if not box: return None
    glyph = glyph.crop(box)
    side = max(glyph.size)
    square = Image.new("RGBA", (side, side), (255, 255, 255, 255))
    square.alpha_composite(glyph, ((side - glyph.width) // 2, (side - glyph.height) // 2))
    square = square.convert("RGB").resize((int(size * .92),) * 2, Image.LANCZOS)
    whole = Image.new("RGB", (size, size), "white")
    whole.paste(square, ((size - square.width) // 2,) * 2)
    return whole


def main(out, size):
    os.makedirs(out, exist_ok=True)
    font, rows, seen = ImageFont.truetype(FONT, 109), [], set()
    for text, name, subgroup in emoji():
        image = picture(text, font, size)
        if image is None or image.tobytes() in seen: continue
        seen.add(image.tobytes())
        file = f"{len(rows):04d}.png"
        image.save(os.path.join(out, file))
        rows.append((file, f"emoji of {name}, {subgroup.replace('-', ' ')}"))
    with open(os.path.join(out, "metadata.csv"), "w", newline="", encoding="utf8") as table:
        csv.writer(table).writerows([("filename", "prompt"), *rows])
    print(len(rows), "pictures")


main(sys.argv[1], int(sys.argv[2]))
