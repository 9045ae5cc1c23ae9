"""Small pictures of every kind that people train on, and what Pillow reads from them.

usage: python scripts/goldens/pictures.py      (Pillow 13.0.0, numpy)
writes Tests/Goldens/pictures: the files, and expected.safetensors with (height, width, 3 or 4) bytes for each
"""
import io, pathlib, struct, zlib
import numpy as np
from PIL import Image, ImageOps
from safetensors.numpy import save_file

folder = pathlib.Path(__file__).parents[2] / "Tests/Goldens/pictures"
folder.mkdir(parents=True, exist_ok=True)
expected = {}

y, x = np.mgrid[0:24, 0:40]
base = np.stack([x * 6, y * 10, (x * 3 + y * 5) % 256], -1).astype(np.uint8)
base[4:12, 6:20] = (200, 40, 30)                       # nothing is symmetric
picture = Image.fromarray(base)

def keep(name, pixels): expected[name] = np.ascontiguousarray(pixels, dtype=np.uint8)

def write(name, image, pixels=None, **options):
    image.save(folder / name, **options)
    read = ImageOps.exif_transpose(Image.open(folder / name))
    keep(name, read if pixels is None else pixels)

for orientation in range(1, 9):
    exif = Image.Exif()
    exif[0x0112] = orientation
    write(f"upright-{orientation}.jpg", picture, exif=exif, quality=95, subsampling=0)
write("grey.jpg", picture.convert("L"), quality=95)
keep("grey.jpg", Image.open(folder / "grey.jpg").convert("RGB"))
write("cmyk.jpg", picture.convert("CMYK"), quality=95)
keep("cmyk.jpg", Image.open(folder / "cmyk.jpg").convert("RGB"))

write("colour.png", picture)
write("palette.png", picture.quantize(16))
keep("palette.png", Image.open(folder / "palette.png").convert("RGB"))
clear = picture.quantize(16)
write("palette-clear.png", clear, transparency=int(clear.getpixel((10, 6))))
keep("palette-clear.png", Image.open(folder / "palette-clear.png").convert("RGBA"))
alpha = np.dstack([base, (x * 6).astype(np.uint8)])
write("alpha.png", Image.fromarray(alpha))
write("grey-alpha.png", Image.fromarray(alpha).convert("LA"))
keep("grey-alpha.png", Image.open(folder / "grey-alpha.png").convert("RGBA"))
write("two-colours.png", picture.convert("1"))
keep("two-colours.png", Image.open(folder / "two-colours.png").convert("RGB"))
write("still.gif", picture.quantize(16))
keep("still.gif", Image.open(folder / "still.gif").convert("RGB"))
write("lossless.webp", picture, lossless=True)
write("alpha.webp", Image.fromarray(alpha), lossless=True, exact=True)
write("colour.tif", picture, compression="tiff_lzw")

def png(name, width, height, depth, kind, rows):       # Pillow writes 16 bits of grey only, and no false headers
    def chunk(tag, body): return struct.pack(">I", len(body)) + tag + body + struct.pack(">I", zlib.crc32(tag + body))
    header = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    body = zlib.compress(rows, 9)
    (folder / name).write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b""))

def rows16(values):
    return b"".join(b"\0" + row.astype(">u2").tobytes() for row in values.reshape(24, -1))

deep = base.astype(np.uint16) * 257 + 60
deep = np.minimum(deep, 65535)
png("deep.png", 40, 24, 16, 2, rows16(deep))
keep("deep.png", deep >> 8)
grey = deep[..., :1]
png("deep-grey.png", 40, 24, 16, 0, rows16(grey))
keep("deep-grey.png", np.repeat(grey >> 8, 3, -1))
deep = np.dstack([deep, (x * 1500).astype(np.uint16)])
png("deep-alpha.png", 40, 24, 16, 6, rows16(deep))
keep("deep-alpha.png", deep >> 8)

# Not pictures
for name in ("upright-1.jpg", "colour.png", "lossless.webp"):
    whole = (folder / name).read_bytes()
    (folder / f"cut.{name.split('.')[-1]}").write_bytes(whole[: len(whole) * 2 // 3])
(folder / "text.png").write_text("a photo of a cat\n")
(folder / "drawing.png").write_text('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>\n')
(folder / "empty.jpg").write_bytes(b"")
png("huge.png", 60000, 60000, 8, 2, b"\0" * 1000)
png("endless.png", 2**31 - 1, 2**31 - 1, 8, 2, b"\0" * 1000)

for name, size in (("smaller", (16, 10)), ("larger", (90, 54)), ("narrower", (24, 24))):
    keep(f"resized.{name}", picture.resize(size, Image.Resampling.LANCZOS))
save_file(expected, folder / "expected.safetensors")
