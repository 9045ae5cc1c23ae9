"""Paints Noto Color Emoji as ink wash (sumi-e) in blue ink: the 24 captioned pictures of examples/inkwash.

numpy 2.4, Pillow 13.0; Debian's fonts-noto-color-emoji 2.042 (images Apache-2.0) and unicode-data 15.0
python make_inkwash.py OUT_DIR

Writes OUT_DIR/NAME.jpg (256 x 256 pixels) and OUT_DIR/metadata.csv (file_name,text), in a minute.

Calm areas: Kuwahara's filter (IPSJ 1976). Direction of the brush: the smoothed structure tensor's (Kang, Lee, Chui,
"Coherent Line Drawing", NPAR 2007). Contour: difference of Gaussians (Winnemoeller, Kyprianidis, Olsen, Computers &
Graphics 36, 2012). Hairs of the brush: line integral convolution (Cabral, Leedom, SIGGRAPH 1993). Rims and grain: what
Curtis et al., "Computer-Generated Watercolor" (SIGGRAPH 1997) simulate, here as filters.
"""
import csv, os, re, sys, zlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

FONT = "/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf"
NAMES = "/usr/share/unicode/emoji/emoji-test.txt"
SUBJECTS = ["swan", "goose", "bat", "penguin", "giraffe", "bear", "deer", "frog", "peach", "banana", "pineapple",
            "mushroom", "evergreen tree", "maple leaf", "lotus", "Japanese castle", "classical building", "canoe",
            "water wave", "teapot", "folding hand fan", "saxophone", "banjo", "drum"]
TRIGGER = "ink wash"
SIZE, FINE = 256, 512  # of the pictures; of the canvas they are painted on
PAPER = np.array((1, 1, .998))
INK = np.array((1.9, 1.05, .38))  # how much red, green and blue a unit of density absorbs
ROWS, COLUMNS = np.mgrid[:FINE, :FINE].astype(float)


# --- fields: arrays of FINE x FINE

def blur(x, sigma):  # Gaussian; the edges wrap around
    f = [np.exp(-2 * (np.pi * sigma * np.fft.fftfreq(FINE)) ** 2)[:n] for n in (FINE, FINE // 2 + 1)]
    return np.fft.irfft2(np.fft.rfft2(x) * f[0][:, None] * f[1], x.shape)


def noise(rng, sigma):  # smooth, mean 0, deviation 1
    x = blur(rng.standard_normal((FINE, FINE)), sigma)
    return (x - x.mean()) / x.std()


def step(x, at, width):  # 0 below at, 1 above, smooth between
    t = np.clip((x - at) / width + .5, 0, 1)
    return t * t * (3 - 2 * t)


def look(x, row, column):  # x at places between the pixels
    row, column = np.clip(row, 0, FINE - 1.001), np.clip(column, 0, FINE - 1.001)
    i, j = row.astype(int), column.astype(int)
    a, b = row - i, column - j
    return (x[i, j] * (1 - b) + x[i, j + 1] * b) * (1 - a) + (x[i + 1, j] * (1 - b) + x[i + 1, j + 1] * b) * a


def kuwahara(x, r):  # every pixel takes the mean of the calmest of the four squares around it: flat and painterly
    sums = [np.pad(np.pad(v, r, mode="edge"), ((1, 0), (1, 0))).cumsum(0).cumsum(1) for v in (x, x * x)]
    mean, square = ((s[r + 1:, r + 1:] - s[:-r - 1, r + 1:] - s[r + 1:, :-r - 1] + s[:-r - 1, :-r - 1]) / (r + 1) ** 2
                    for s in sums)
    means, spreads = (np.stack([v[a:a + FINE, b:b + FINE] for a in (0, r) for b in (0, r)])
                      for v in (mean, square - mean ** 2))
    return np.take_along_axis(means, spreads.argmin(0)[None], 0)[0]


# --- the subject

def emoji():  # {name: (text, subgroup)}
    subgroup, found = "", {}
    for line in open(NAMES, encoding="utf8"):
        if line.startswith("# subgroup:"): subgroup = line.split(":")[1].strip().replace("-", " ")
        match = re.match(r"([0-9A-F ]+?)\s*; fully-qualified\s*# (\S+) E[\d.]+ (.+)", line)
        if match: found[match[3].strip()] = "".join(chr(int(code, 16)) for code in match[1].split()), subgroup
    return found


def subject(rng, text):  # its darkness and where it is, both 0…1, drawn by an unsteady hand
    glyph = Image.new("RGBA", (136, 128))
    ImageDraw.Draw(glyph).text((0, 0), text, font=ImageFont.truetype(FONT, 109), embedded_color=True)
    glyph = glyph.crop(glyph.getbbox())
    scale = .88 * FINE / max(glyph.size)
    glyph = glyph.resize([round(side * scale) for side in glyph.size], Image.LANCZOS)
    canvas = Image.new("RGBA", (FINE, FINE))
    canvas.paste(glyph, [(FINE - side) // 2 for side in glyph.size])
    rgba = np.asarray(canvas, float) / 255
    cover, light = rgba[..., 3], rgba[..., :3] @ (.35, .5, .15)
    low, high = np.percentile(light[cover > .5], (3, 97))
    dark = cover * (.12 + .78 * np.clip((high - light) / max(high - low, .25), 0, 1))
    places = [axis + 2.5 * noise(rng, 22) for axis in (ROWS, COLUMNS)]
    return look(dark, *places), look(cover, *places)


# --- the brush

def flow(x):  # unit vectors (rows, columns) along the edges of x; which of the two ways is left open
    down, right = np.gradient(x)
    dd, dr, rr = blur(down * down, 6), blur(down * right, 6), blur(right * right, 6)
    angle = .5 * np.arctan2(2 * dr, rr - dd) + np.pi / 2
    return np.sin(angle), np.cos(angle)


def hairs(rng, down, right, length):  # noise drawn out along the flow, mean 0, deviation 1
    seed, total = noise(rng, .8), 0
    for way in (1, -1):
        row, column, v, h = ROWS, COLUMNS, way * down, way * right
        for _ in range(length):
            row, column = row + v, column + h
            total = total + look(seed, row, column)
            at = tuple(np.clip(place, 0, FINE - 1).astype(int) for place in (row, column))
            turn = np.where(down[at] * v + right[at] * h < 0, -1, 1)
            v, h = down[at] * turn, right[at] * turn
    return (total - total.mean()) / total.std()


def contour(rng, field, width, streaks):  # 0…1: a line that swells, thins, and breaks where the brush runs dry
    edge = (blur(field, width) - blur(field, 1.6 * width)).clip(0)
    pressure = .5 + .55 * noise(rng, 34)
    line = step(edge, np.clip(.105 - .062 * pressure, .022, .2), .03)
    dry = step(noise(rng, 28), .9, 1.2)
    return line * (1 - dry * step(streaks, -.4, 1))


def wash(rng, mask, wet):  # density of one wash: uneven, dark at its rim, feathered where the paper is wet
    ragged = .5 * noise(rng, 2) + .6 * noise(rng, 5) + .7 * noise(rng, 11)
    mask = mask * (1 - wet) + step(blur(mask, 8) * (1 + .45 * ragged), .34, .5) * wet
    rim = mask * (1 - blur(mask, 4)) * (1 - .8 * wet)
    return mask * np.clip(.8 + .38 * noise(rng, 30) + .12 * noise(rng, 9), .15, 2) + 1.3 * rim


def painted(rng, dark, cover):  # density of the ink: a loose pale wash, three darker ones, then the lines
    tone = kuwahara(kuwahara(dark, 9), 7)
    streaks = hairs(rng, *flow(blur(dark, 2) + .6 * cover), 14)
    wet = step(noise(rng, 44), .55, .9)
    angle = rng.uniform(.12, .38) * np.pi  # of the side away from the light
    down, right = np.sin(angle), np.cos(angle)
    shade = np.clip(cover - look(blur(cover, 26), ROWS + 26 * down, COLUMNS + 26 * right), 0, 1)
    loose = look(cover, *(axis + rng.normal(2, 3) + 8 * noise(rng, 36) for axis in (ROWS, COLUMNS)))
    density = .17 * wash(rng, step(blur(loose, 2), .5, .2), wet) + .5 * shade * (1 + .3 * noise(rng, 12))
    for at, amount in ((.30, .26), (.48, .45), (.66, .90)):
        mask = step(blur(tone, 2) + .03 * noise(rng, 14) + .015 * noise(rng, 4), at, .08)
        density = density + amount * wash(rng, mask, wet)
    loaded = 1 + .8 * ((ROWS / FINE - .5) * down + (COLUMNS / FINE - .5) * right)
    grain = 1 + .08 * noise(rng, 1.1) + .05 * noise(rng, 2.4)
    density = density * loaded * grain * (1 + .10 * streaks * step(tone, .3, .4))
    line = np.maximum(contour(rng, cover, 4, streaks), .6 * contour(rng, tone, 3, streaks) * step(tone, .25, .3))
    return np.clip(density, 0, None) + 1.1 * line * (1 - wet) + blur(line, 5) * wet


def paper(rng):  # almost white, with long fibres
    fibres = Image.new("L", (FINE, FINE))
    draw = ImageDraw.Draw(fibres)
    for _ in range(150):
        angles = rng.uniform(0, 2 * np.pi) + rng.normal(0, .05) * np.arange(rng.integers(8, 34))
        points = rng.uniform(0, FINE, 2) + 3 * np.cumsum(np.stack([np.cos(angles), np.sin(angles)], 1), 0)
        draw.line([tuple(point) for point in points], fill=255)
    fibre = blur(np.asarray(fibres, float) / 255, .8)
    return PAPER * (1 - .04 * fibre)[..., None]


def picture(name, text):
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    density = painted(rng, *subject(rng, text))
    image = paper(rng) * np.exp(-density[..., None] * INK)
    return Image.fromarray((image.clip(0, 1) * 255).round().astype(np.uint8)).resize((SIZE, SIZE), Image.LANCZOS)


def main(out):
    os.makedirs(out, exist_ok=True)
    known, rows = emoji(), []
    for name in SUBJECTS:
        text, subgroup = known[name]
        file = name.lower().replace(" ", "-") + ".jpg"
        picture(name, text).save(os.path.join(out, file), quality=92)
        rows.append((file, f"emoji of {name}, {subgroup}, {TRIGGER}"))
    with open(os.path.join(out, "metadata.csv"), "w", newline="", encoding="utf8") as table:
        csv.writer(table, lineterminator="\n").writerows([("file_name", "text"), *rows])


main(sys.argv[1])
