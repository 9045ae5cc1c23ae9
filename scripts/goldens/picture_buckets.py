"""The buckets of kohya's scripts for pictures of many shapes, and pictures resized and cut for them.

usage: python scripts/goldens/picture_buckets.py SD_SCRIPTS    (a checkout of github.com/kohya-ss/sd-scripts at 48d368f;
       Pillow 13.0.0, torch 2.11; after scripts/goldens/pictures.py)
writes Tests/Goldens/picture_buckets.json
"""
import ast, json, math, pathlib, sys, types, typing
import numpy as np, torch
from PIL import Image

def definition(file, name, scope):
    """Runs one class or function of a file whose imports are not here."""
    tree = ast.parse((pathlib.Path(sys.argv[1]) / "library" / file).read_text())
    node = next(n for n in tree.body if getattr(n, "name", "") == name)
    exec(compile(ast.Module([node], []), file, "exec"), scope)
    return scope[name]

scope = {"math": math, "np": np, **vars(typing)}
make = definition("model_util.py", "make_bucket_resolutions", scope)
scope["model_util"] = types.SimpleNamespace(make_bucket_resolutions=make)
scope["logger"] = types.SimpleNamespace(info=print, warning=print)
BucketManager = definition("train_util.py", "BucketManager", scope)

shapes = [(512, 512), (640, 480), (480, 640), (1920, 1080), (1080, 1920), (300, 200), (4000, 3000), (1000, 100),
          (97, 301), (768, 512), (513, 511), (2048, 2048), (576, 448), (70, 66), (5, 4000), (1365, 911)]
cases = []
for resolution, least, most, step in ((512, 256, 1024, 64), (64, 32, 128, 8), (768, 384, 1536, 64), (448, 128, 896, 32)):
    for keeps in (False, True):
        manager = BucketManager(keeps, (resolution, resolution), least, most, step)
        manager.make_buckets()
        fits = []
        for shape in shapes:
            if keeps and min(shape) < 64: continue                             # kohya's scripts end there
            bucket, resized, _ = manager.select_bucket(*shape)
            fits.append([*shape, *resized, *bucket])
        cases.append({"resolution": resolution, "minimum": least, "maximum": most, "step": step, "keeps": keeps,
                      "sizes": make((resolution, resolution), least, most, step), "fits": fits})

folder = pathlib.Path(__file__).parents[2] / "Tests/Goldens"
picture = Image.open(folder / "pictures/alpha.png")
manager = BucketManager(False, (32, 32), 16, 64, 8)
manager.make_buckets()
bucket, resized, _ = manager.select_bucket(*picture.size)
left, top = (resized[0] - bucket[0]) // 2, (resized[1] - bucket[1]) // 2
box = (left, top, left + bucket[0], top + bucket[1])
white = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture).convert("RGB")
pixels = np.asarray(white.resize(resized, Image.Resampling.LANCZOS).crop(box))
mask = np.asarray(picture.getchannel("A").resize(resized, Image.Resampling.LANCZOS).crop(box), dtype=np.float32) / 255
mask = torch.nn.functional.interpolate(torch.tensor(mask.copy())[None, None], (bucket[1] // 8, bucket[0] // 8), mode="area")
prepared = {"bucket": bucket, "pixels": pixels.transpose(2, 0, 1).flatten().tolist(), "mask": mask.flatten().tolist()}
(folder / "picture_buckets.json").write_text(json.dumps({"cases": cases, "prepared": prepared}))
